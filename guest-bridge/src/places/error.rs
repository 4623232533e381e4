//! Why it is not known where things lie, or what was marked.

use std::path::PathBuf;

use crate::agent::{AgentError, Exit, guest_text};

/// Why the guest has not told.
#[derive(Debug, thiserror::Error)]
pub enum PlacesError {
    /// The agent did not run the script, or not to its end.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A path cannot be asked about. Nothing was sent.
    #[error("cannot ask the guest about the path {}: {reason}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More paths than are asked about in one go. Nothing was sent.
    #[error("cannot ask the guest about {count} paths: {limit} at most")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The script ended otherwise than it should.
    #[error("the script that looks where things lie in the guest ended with {exit}: {stderr}")]
    Script {
        /// How it ended.
        exit: Exit,
        /// What it said, one line.
        stderr: String,
    },
    /// What the script printed cannot be read.
    #[error("the guest's answer to where things lie makes no sense: {detail}")]
    Unexpected {
        /// What was wrong, with the beginning of what came.
        detail: String,
    },
}

impl PlacesError {
    /// A line that cannot be read.
    pub(super) fn line(what: &str, line: &[u8]) -> Self {
        Self::Unexpected { detail: format!("{what}: `{}`", guest_text(&String::from_utf8_lossy(line))) }
    }

    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Agent(error) => error.hint(),
            _ => None,
        }
    }
}
