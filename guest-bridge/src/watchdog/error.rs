//! Why a watchdog was not armed, or not disarmed.

use crate::agent::{AgentError, Exit, guest_text};

/// Why it is not known that a watchdog is armed, or that it is gone.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    /// The agent did not run the script, or not to its end. Where it [may have](AgentError::may_have_executed), a watchdog may be armed.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The mountpoints cannot be told to a program. Nothing was sent.
    #[error("cannot arm a watchdog in the guest for these {count} mountpoints: {reason}")]
    Mountpoints {
        /// How many there are.
        count: usize,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// This guest can have none. Nothing is left in it.
    #[error("the guest cannot have a watchdog: {reason}")]
    Impossible {
        /// What it lacks, in the guest's words, one line.
        reason: String,
    },
    /// The token has been armed or disarmed before. Nothing was armed now.
    #[error("a watchdog of this name was armed or disarmed in the guest before: none was armed now")]
    UsedUp,
    /// The script ended otherwise than it should.
    #[error("the script of the watchdog in the guest ended with {exit}: {stderr}")]
    Script {
        /// How it ended.
        exit: Exit,
        /// What it said, one line.
        stderr: String,
    },
    /// What the script printed cannot be read.
    #[error("the guest's answer about its watchdog makes no sense: {detail}")]
    Unexpected {
        /// What was wrong, with the beginning of what came.
        detail: String,
    },
}

impl WatchdogError {
    /// An answer that cannot be read.
    pub(super) fn answer(what: &str, text: &str) -> Self {
        Self::Unexpected { detail: format!("{what}: `{}`", guest_text(text)) }
    }

    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Agent(error) => error.hint(),
            Self::Impossible { .. } => Some(
                "it needs fsfreeze (util-linux), an agent that runs as root, and /run or /dev/shm in memory (tmpfs); without a \
                 watchdog nothing thaws the guest if this host is lost in the window",
            ),
            _ => None,
        }
    }
}
