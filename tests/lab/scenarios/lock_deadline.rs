//! A lock that is not to be had in time.

use stillpoint_tests::lab::blocker::{Blocker, STATEMENT};
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::DATA;

#[test]
fn a_lock_that_is_not_granted_names_who_holds_it() {
    scenario(|guest| {
        let blocker = Blocker::start(guest);
        let mut run = Run::backup().with(&["--disk", DATA, "--db", "agent", "--lock-deadline", "3s"]);
        let ended = run.end();
        ended.refused(1, &["lock", "within 3000 ms", &format!("thread {}", blocker.thread_id), STATEMENT]);
        assert_eq!(run.files(), [""; 0]);
        assert!(!run.steps().contains(&("freeze".to_owned(), "done".to_owned())), "{:?}", run.steps());
    });
}
