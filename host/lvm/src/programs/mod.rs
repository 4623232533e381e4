//! The one place that starts programs: LVM, device-mapper, udev, dump and verification tools.
//!
//! Everything above works on the [`Programs`] trait. [`HostPrograms`] is the real one; with the feature `scripted` there is also
//! `ScriptedPrograms`, an exact conversation.

mod capture;
mod host;
mod invocation;
#[cfg(any(test, feature = "scripted"))]
mod later;
mod output;
mod running;
#[cfg(any(test, feature = "scripted"))]
mod scripted;
mod started;

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::dm_control::DmStatus;

pub use self::host::HostPrograms;

pub use self::invocation::Invocation;
#[cfg(any(test, feature = "scripted"))]
pub(crate) use self::later::Later;
pub use self::output::Output;
#[cfg(any(test, feature = "scripted"))]
pub use self::scripted::{Record, Reply, ScriptedPrograms};
pub use self::started::Started;

/// Starts programs and waits for them.
///
/// Calls block the thread; async code wraps them in `blocking`. An implementation never waits longer than the invocation's
/// deadline plus a few seconds in which it ends the program.
pub trait Programs: Send + Sync {
    /// Runs a program to its end, whatever its exit code.
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError>;

    /// Starts a program and does not wait. The invocation's deadline says nothing here: who waits brings one.
    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError>;

    /// What device-mapper says of the first target of each of its devices, or of the one called `of`, asked of the kernel itself; `None` where
    /// that cannot be, and a program has to ask.
    fn dm_statuses(&self, of: Option<&str>) -> Option<io::Result<Vec<DmStatus>>> {
        let _ = of;
        None
    }

    /// Runs a program that must succeed: an exit code other than 0 is [`ProgramError::Failed`].
    fn run(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        self.output(invocation)?.success(invocation)
    }
}

/// Why a program did not do its work. `command` is the command line as a person would type it; no secret is ever in one.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// It is not installed.
    #[error("{program} is not installed")]
    Missing {
        /// The program's name.
        program: String,
        /// The Debian package that has it, where known.
        package: Option<&'static str>,
    },
    /// It is there and could not be started or waited for.
    #[error("cannot run `{command}`: {cause}")]
    Start {
        /// The command line.
        command: String,
        /// What the kernel said.
        cause: io::Error,
    },
    /// It ran and said no.
    #[error("`{command}` failed with exit code {exit_code}: {said}")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit code.
        exit_code: i32,
        /// The last lines of its stderr (of its stdout where stderr is empty).
        said: String,
    },
    /// Something other than us ended it.
    #[error("`{command}` was ended by signal {signal}: {said}")]
    Signalled {
        /// The command line.
        command: String,
        /// The signal's number.
        signal: i32,
        /// The last lines of its stderr.
        said: String,
    },
    /// It did not end in time, and was ended. What it had done by then is unknown.
    #[error("`{command}` did not end within {deadline:?} and {}: {said}", if *gone { "was ended" } else { "could not be ended (its process is stuck in the kernel)" })]
    TimedOut {
        /// The command line.
        command: String,
        /// The deadline that it had.
        deadline: Duration,
        /// False if the process is still there after SIGKILL (uninterruptible sleep).
        gone: bool,
        /// The last lines of its stderr.
        said: String,
    },
}
