//! A program that was started, and is waited for later.

use std::time::Duration;

use super::{Output, ProgramError};

/// A program that runs. Dropped, it is ended, with the same patience as one that passes its deadline.
pub trait Started: Send {
    /// Its process, which leads a process group; `None` where there is none, because it is simulated.
    fn pid(&self) -> Option<u32>;

    /// Whether it has ended. Waits for that, at most so long; zero is a look. Where it has not, it runs on.
    fn has_ended(&mut self, within: Duration) -> Result<bool, ProgramError>;

    /// Asks it, and all that it started, to end, and does not wait: so that several end at once.
    fn ask_to_end(&mut self);

    /// What came of it, whatever its exit code. Where it still runs, it is ended: that is [`ProgramError::TimedOut`], and so is it
    /// where it was asked to end and has not done its work.
    fn end(self: Box<Self>) -> Result<Output, ProgramError>;

    /// Waits at most so long for its end, and ends it then.
    fn wait(mut self: Box<Self>, deadline: Duration) -> Result<Output, ProgramError> {
        self.has_ended(deadline)?;
        self.end()
    }
}
