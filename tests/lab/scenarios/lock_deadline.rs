//! A lock that is not to be had in time.

use stillpoint_tests::lab::blocker::{Blocker, STATEMENT};
use stillpoint_tests::lab::proof::prove_rows;
use stillpoint_tests::lab::recovered::{ext4_at, unpack};
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::DATA;

#[test]
fn a_lock_that_is_not_granted_names_who_holds_it() {
    scenario(|guest| {
        let blocker = Blocker::start(guest);
        let mut run =
            Run::backup().with(&["--disk", DATA, "--db", "agent", "--lock-deadline", "3s", "--lock", "require"]);
        let ended = run.end();
        ended.refused(1, &["lock", "within 3000 ms", &format!("thread {}", blocker.thread_id), STATEMENT]);
        assert_eq!(run.files(), [""; 0]);
        assert!(!run.steps().contains(&("freeze".to_owned(), "done".to_owned())), "{:?}", run.steps());
    });
}

#[test]
fn a_lock_that_is_not_granted_is_gone_without_where_the_images_own_binlog_says_as_much() {
    scenario(|guest| {
        guest.forget_ticks();
        guest.start_ticks(20);
        guest.wait_for_ticks(20);
        let _blocker = Blocker::start(guest);
        let mut run = Run::backup_of_all().with(&["--lock-deadline", "3s", "--cow-size", "200M"]);
        let ended = run.end().with_code(0);
        assert!(ended.stderr.contains("no lock is held"), "{}", ended.stderr);
        let receipt = run.receipt();
        assert_eq!(
            (&receipt["grade"], &receipt["window"]["lock"]["state"]),
            (&"application".into(), &"commits-went-on".into())
        );
        let disk = &receipt["disks"][0];
        let image = run.folder().join("root.img");
        unpack(&run.target().join(disk["image"].as_str().unwrap()), &image);
        let root = ext4_at(&image, &disk["evidence"]["volumes"][0]["offset_bytes"]);
        prove_rows(guest, &receipt, &root, run.folder());
    });
}
