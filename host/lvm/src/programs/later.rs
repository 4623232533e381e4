//! A program without a process: it acts when somebody waits for it.

use std::time::Duration;

use super::{Invocation, Output, ProgramError, Started};

type Act = Box<dyn FnOnce() -> Result<Output, ProgramError> + Send>;

/// What stands for a started program in tests: it has done nothing until it is waited for.
pub(crate) struct Later {
    invocation: Invocation,
    act: Option<Act>,
    outcome: Option<Result<Output, ProgramError>>,
    /// Told when it is ended before it acted.
    unacted: Option<Box<dyn FnOnce() + Send>>,
}

impl Later {
    /// `act` is what it does; `unacted` hears that it is ended before it did that.
    pub fn new(
        invocation: &Invocation,
        act: impl FnOnce() -> Result<Output, ProgramError> + Send + 'static,
        unacted: impl FnOnce() + Send + 'static,
    ) -> Self {
        let unacted: Box<dyn FnOnce() + Send> = Box::new(unacted);
        Self { invocation: invocation.clone(), act: Some(Box::new(act)), outcome: None, unacted: Some(unacted) }
    }
}

impl Started for Later {
    fn pid(&self) -> Option<u32> {
        None
    }

    fn has_ended(&mut self, within: Duration) -> Result<bool, ProgramError> {
        if !within.is_zero()
            && let Some(act) = self.act.take()
        {
            self.unacted = None;
            self.outcome = Some(act());
        }
        Ok(self.outcome.as_ref().is_some_and(|outcome| !matches!(outcome, Err(ProgramError::TimedOut { .. }))))
    }

    fn ask_to_end(&mut self) {}

    /// As LVM says it when it is ended while it waits for a lock.
    fn end(mut self: Box<Self>) -> Result<Output, ProgramError> {
        let (command, deadline) = (self.invocation.to_string(), self.invocation.deadline());
        let said = "Interrupted...; Giving up waiting for lock.".to_owned();
        self.outcome.take().unwrap_or(Err(ProgramError::TimedOut { command, deadline, gone: true, said }))
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        if let Some(unacted) = self.unacted.take() {
            unacted();
        }
    }
}
