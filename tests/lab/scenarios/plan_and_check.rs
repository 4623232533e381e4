//! `plan` and `check` look, and change nothing.

use serde_json::Value;
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::{self, DATA, ROOT};

#[test]
fn a_plan_says_what_a_backup_would_do_and_does_none_of_it() {
    scenario(|_| {
        let volumes = volume::all();
        let mut plan = Run::of("plan").with(&["--disk", ROOT, "--disk", DATA, "--db", "agent", "--cow-size", "200M"]);
        plan = plan.with(&["--agent", "unix:/run/lab/qga.sock"]);
        let said = plan.end().with_code(0).stdout;
        for word in [ROOT, DATA, "200 MiB", "BACKUP STAGE", "freeze", "1 ext4", "application"] {
            assert!(said.contains(word), "`{word}` is not in the plan:\n{said}");
        }
        assert!(!said.contains("no disk of this job"), "{said}");
        assert_eq!(volume::all(), volumes);
        assert_eq!(plan.steps(), []);
        assert_eq!(plan.files(), [""; 0]);
    });
}

#[test]
fn a_plan_names_the_mounts_of_a_disk_that_is_missing_from_the_job() {
    scenario(|_| {
        for (named, missing) in [(ROOT, "/srv/data (ext4)"), (DATA, "/ (ext4)")] {
            let plan = Run::of("plan").with(&["--disk", named, "--agent", "unix:/run/lab/qga.sock", "--json"]);
            let document: Value = serde_json::from_str(&{ plan }.end().with_code(0).stdout).unwrap();
            let notes = document["notes"].to_string();
            assert!(notes.contains("no disk of this job") && notes.contains(missing), "{named}: {notes}");
        }
    });
}

#[test]
fn the_origin_of_a_running_guest_is_sound_only_after_replay() {
    scenario(|guest| {
        guest.start_ticks(20);
        guest.wait_for_ticks(5);
        let checked = Run::of("check").with(&[ROOT, "--json"]).end().with_code(3);
        let report: Value = serde_json::from_str(&checked.stdout).unwrap();
        assert_eq!(report["target"], ROOT);
        assert_eq!(report["table"], "gpt");
        assert_eq!(report["volumes"][0]["kind"], "ext4");
        assert_eq!(report["volumes"][0]["offset_bytes"], 1_048_576);
        assert_eq!(report["volumes"][0]["verdict"], "replay");
    });
}
