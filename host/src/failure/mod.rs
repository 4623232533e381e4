//! How a command fails: the cause, the step, and what could not be undone after it.
//!
//! Typed errors come up from below. Each becomes a [`Cause`] of a [`Kind`]: those of this package beside their types, those
//! of the packages below here, a file each. What follows from a kind is [`table`]'s.

mod agent;
mod artifact;
pub mod bug;
mod cause;
mod copy;
mod database;
mod disk;
mod dump;
pub mod exit;
mod kind;
mod lvm;
mod places;
mod programs;
pub mod report;
pub mod table;
mod watchdog;

use std::fmt;

use crate::failure::exit::Exit;
use crate::step::Step;

pub use self::cause::Cause;
pub use self::kind::Kind;

/// Why a command ended without what was asked.
#[derive(Debug)]
pub struct Failure {
    /// The step that failed.
    pub step: Step,
    /// Why.
    pub cause: Box<Cause>,
    /// What failed while the run undid what it held.
    pub clean_up: Vec<(Step, Box<Cause>)>,
}

impl Failure {
    /// `cause` at `step`.
    pub fn new(step: Step, cause: impl Into<Cause>) -> Self {
        Self { step, cause: Box::new(cause.into()), clean_up: Vec::new() }
    }

    /// The exit code that says what happened.
    #[must_use]
    pub fn exit(&self) -> Exit {
        table::row(self.cause.kind, !self.clean_up.is_empty()).exit
    }

    /// Why, and why each clean-up failed.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        let clean_up = self.clean_up.iter().map(|(_, cause)| &**cause);
        std::iter::once(&*self.cause).chain(clean_up)
    }

    /// Keeps a failed clean-up beside the cause.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.clean_up.push((later.step, later.cause));
        self.clean_up.extend(later.clean_up);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.cause)?;
        for (step, cause) in &self.clean_up {
            write!(f, "\nand then {step} failed: {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Says at which step an error happened.
pub trait At<T> {
    /// # Errors
    /// The error, with its step.
    fn at(self, step: Step) -> Result<T, Failure>;
}

impl<T, E: Into<Cause>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(step, error))
    }
}

/// The outcome of work that held something, and of giving that back: both errors are kept.
///
/// A release that fails after work that succeeded is a failure all the same, and needs a person.
///
/// # Errors
/// The first failure, with the second beside it.
pub fn both<T, U>(work: Result<T, Failure>, release: Result<U, Failure>) -> Result<(T, U), Failure> {
    match (work, release) {
        (Ok(work), Ok(release)) => Ok((work, release)),
        (Ok(_), Err(release)) => Err(release),
        (Err(work), Ok(_)) => Err(work),
        (Err(work), Err(release)) => Err(work.and(release)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_clean_up_is_kept_beside_the_cause_and_needs_a_person() {
        let failure = Failure::new(Step::Copy, Cause::refused("no", ""))
            .and(Failure::new(Step::Remove, Cause::new(Kind::VolumesLeft, "vg/x is busy", "")));
        assert_eq!(failure.to_string(), "copy: no\nand then remove failed: vg/x is busy");
        assert_eq!(failure.exit(), Exit::NeedsPerson);
    }

    #[test]
    fn of_work_and_release_no_error_is_lost() {
        let fail = |step| Err::<(), _>(Failure::new(step, Cause::refused("no", "")));
        assert!(both(Ok(()), Ok(())).is_ok());
        assert_eq!(both(Ok(()), fail(Step::Thaw)).unwrap_err().step, Step::Thaw);
        assert_eq!(both(fail(Step::Snapshot), Ok(())).unwrap_err().step, Step::Snapshot);
        let failure = both(fail(Step::Snapshot), fail(Step::Thaw)).unwrap_err();
        assert_eq!((failure.step, failure.clean_up[0].0), (Step::Snapshot, Step::Thaw));
    }
}
