//! A signal undoes what the run holds, wherever it comes.

use stillpoint_tests::lab::blocker::Blocker;
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::{Run, files_of};
use stillpoint_tests::lab::volume::{self, DATA, ROOT};

#[test]
fn sigint_during_the_copy_removes_snapshot_and_partial_files() {
    interrupt_the_copy("INT", &["--db", "agent"]);
}

#[test]
fn sighup_during_the_copy_removes_snapshot_and_partial_files() {
    interrupt_the_copy("HUP", &[]);
}

fn interrupt_the_copy(signal: &str, arguments: &[&str]) {
    scenario(|_| {
        // A level at which the copy takes minutes.
        let mut run = Run::backup().with(&["--disk", ROOT, "--cow-size", "200M", "--level", "19"]).with(arguments);
        let target = run.target();
        let under_way = || !files_of(&target).is_empty() && !volume::foreign().is_empty();
        let ended = run.interrupted(signal, "copy", under_way);
        ended.refused(1, &["copy", &format!("SIG{signal}")]);
        assert_eq!(run.files(), [""; 0]);
    });
}

#[test]
fn sigterm_while_waiting_for_the_lock_gives_the_wait_up() {
    interrupt_the_wait("TERM");
}

fn interrupt_the_wait(signal: &str) {
    scenario(|guest| {
        let blocker = Blocker::start(guest);
        let mut run = Run::backup().with(&["--disk", DATA, "--db", "agent", "--lock-deadline", "300s"]);
        let ended = run.interrupted(signal, "lock", || blocker.blocks());
        ended.refused(1, &["lock", &format!("SIG{signal}")]);
        assert!(!blocker.blocks(), "a session of the run still waits for the lock");
        assert_eq!(run.files(), [""; 0]);
        assert!(!run.steps().contains(&("freeze".to_owned(), "done".to_owned())), "{:?}", run.steps());
    });
}
