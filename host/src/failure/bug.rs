//! A panic as a failure like any other: with an exit code that says whether something may be held.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Cause, Failure, Kind};
use crate::step::Step;

/// Runs `work`, and makes a failure of a panic in it. `may_hold` says whether `work` takes anything that a person would have
/// to give back: its guards have tried to when it is over.
///
/// # Errors
/// The panic.
pub fn caught<T>(may_hold: bool, work: impl FnOnce() -> T) -> Result<T, Failure> {
    // Nothing of what `work` used is used after it.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let kind = if may_hold { Kind::RunBroken } else { Kind::Bug };
        Failure::new(Step::Unknown, Cause::plain(kind, format!("it panicked: {}", said(&*panic))))
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a word")
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use crate::failure::exit::Exit;

    fn panicking(may_hold: bool) -> Failure {
        caught(may_hold, || panic!("index {} is out of range", 7)).unwrap_err()
    }

    #[test]
    fn a_panic_of_a_command_that_holds_nothing_is_a_failure_and_a_bug_of_ours() {
        let failure = panicking(false);
        assert_eq!((failure.cause.kind, failure.exit()), (Kind::Bug, Exit::Failed));
        assert!(failure.cause.to_string().contains("index 7 is out of range"), "{failure}");
        assert!(failure.cause.hint().contains("bug of stillpoint"), "{}", failure.cause.hint());
    }

    #[test]
    fn a_panic_of_a_run_that_may_hold_something_needs_a_person() {
        let failure = panicking(true);
        assert_eq!((failure.cause.kind, failure.exit()), (Kind::RunBroken, Exit::NeedsPerson));
        assert!(failure.cause.hint().contains("stillpoint-*"), "{}", failure.cause.hint());
    }

    #[test]
    fn what_does_not_panic_is_passed_on() {
        assert_eq!(caught(true, || 7).unwrap(), 7);
    }
}
