//! The `lvconvert` of one COW volume, from its start to its end.

use std::time::Duration;

use super::{Complaint, CowVolume};
use crate::programs::{Invocation, ProgramError, Programs, Started};

/// A COW volume, and the command that makes it a snapshot.
pub(super) struct Convert {
    pub cow: CowVolume,
    runs: Option<(Invocation, Box<dyn Started>)>,
    /// How it ended.
    outcome: Option<Result<(), ProgramError>>,
}

impl Convert {
    pub fn new(cow: CowVolume) -> Self {
        Self { cow, runs: None, outcome: None }
    }

    /// Starts it: it comes to the lock of its group, and waits there as long as that is held.
    pub fn start(&mut self, programs: &dyn Programs, deadline: Duration) -> Result<(), ProgramError> {
        let lvconvert = self.cow.lvconvert_at_the_lock(deadline);
        let started = programs.start(&lvconvert)?;
        self.runs = Some((lvconvert, started));
        Ok(())
    }

    /// Whether it was started and is not known to have ended.
    pub fn runs(&self) -> bool {
        self.runs.is_some()
    }

    /// Its process, where it runs and is one.
    pub fn pid(&self) -> Option<u32> {
        self.runs.as_ref().and_then(|(_, started)| started.pid())
    }

    /// Whether it has ended, or never ran.
    pub fn has_ended(&mut self, within: Duration) -> Result<bool, ProgramError> {
        self.runs.as_mut().map_or(Ok(true), |(_, started)| started.has_ended(within))
    }

    pub fn ask_to_end(&mut self) {
        if let Some((_, started)) = &mut self.runs {
            started.ask_to_end();
        }
    }

    /// Notes how it ended, and ends it if it runs.
    pub fn end(&mut self) {
        if let Some((lvconvert, started)) = self.runs.take() {
            self.outcome = Some(started.end().and_then(|output| output.success(&lvconvert)).map(drop));
        }
    }

    pub fn failure(&self) -> Option<&ProgramError> {
        self.outcome.as_ref()?.as_ref().err()
    }

    pub fn take_failure(&mut self) -> Option<ProgramError> {
        self.outcome.take()?.err()
    }

    /// Whether it may have changed something: not where it ended because of the lock, which comes before everything else.
    pub fn may_have_acted(&self) -> bool {
        match &self.outcome {
            None => false,
            Some(Ok(())) => true,
            Some(Err(error)) => may_have_acted(error),
        }
    }
}

/// Whether an `lvconvert` that failed so may have changed something.
pub(super) fn may_have_acted(error: &ProgramError) -> bool {
    Complaint::of(error) != Some(Complaint::Locked)
}
