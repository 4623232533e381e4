//! What was not proven is not claimed.

use stillpoint_tests::lab::proxy::AgentThatFreezesNothing;
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::{DATA, ROOT};

#[test]
fn a_live_copy_is_of_grade_crash_and_is_kept() {
    scenario(|guest| {
        guest.start_ticks(20);
        guest.wait_for_ticks(5);
        let mut run = Run::backup().with(&["--disk", ROOT, "--cow-size", "200M", "--no-freeze"]);
        run.end().with_code(3);
        let receipt = run.receipt();
        assert_eq!(receipt["grade"], "crash", "{receipt}");
        assert_eq!(receipt["disks"][0]["evidence"]["verdict"], "replay", "{receipt}");
        assert!(receipt["reasons"].to_string().contains("not frozen"), "{receipt}");
        assert_eq!(run.files(), ["backup-db-root.img.zst", "backup.json"]);
        assert!(!run.steps().iter().any(|(step, _)| step == "freeze"), "{:?}", run.steps());
    });
}

#[test]
fn a_live_copy_is_a_success_where_no_more_is_required() {
    scenario(|_| {
        let mut run = Run::backup().with(&["--disk", DATA, "--no-freeze", "--require", "crash"]);
        run.end().with_code(0);
        assert_eq!(run.receipt()["grade"], "crash");
    });
}

#[test]
fn a_freeze_that_succeeded_and_froze_nothing_is_found_out_by_the_disk() {
    scenario(|guest| {
        let agent = AgentThatFreezesNothing::start();
        guest.start_ticks(20);
        guest.wait_for_ticks(5);
        let mut run = Run::of("backup").with(&[
            "--disk",
            ROOT,
            "--cow-size",
            "200M",
            "--agent",
            &format!("unix:{}", agent.socket().display()),
        ]);
        run.end().with_code(3);
        let receipt = run.receipt();
        assert_eq!(receipt["window"]["freeze"]["frozen"], 2, "the agent has to claim a freeze: {receipt}");
        assert_eq!(receipt["window"]["freeze"]["thawed"], 2, "{receipt}");
        assert_eq!(receipt["grade"], "crash", "{receipt}");
        assert!(receipt["reasons"].to_string().contains("not frozen at the snapshot"), "{receipt}");
    });
}
