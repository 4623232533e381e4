//! Why a dump is not whole.

use crate::agent::Exit;

/// Why a dump is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotWhole {
    /// Something ended the client.
    #[error("the dump client was ended by signal {signal}")]
    Killed {
        /// Which one.
        signal: i64,
    },
    /// The server went away, or ended the client's connection.
    #[error("the database server went away in the middle of the dump: {said}")]
    ServerGone {
        /// The client's words.
        said: String,
    },
    /// The server lets nobody in, or not this account to all that is asked for.
    #[error("the database server does not let the dump client in, or not to everything: {said}")]
    Denied {
        /// The client's words: what was denied.
        said: String,
    },
    /// A table that was asked for by name.
    #[error("the database server has no such table, or this account may not see it: {said}")]
    NotFound {
        /// The client's words: which one.
        said: String,
    },
    /// A view whose tables, columns or definer are gone. The client stops there.
    #[error("a view is broken, and the dump client stopped there: {said}")]
    BrokenView {
        /// The client's words: which one.
        said: String,
    },
    /// A table was changed or made while the dump ran.
    #[error("a table was changed while the dump ran: {said}")]
    Changed {
        /// The client's words: which one.
        said: String,
    },
    /// What carries the output out has failed.
    #[error("the dump client could not write: {said}")]
    Output {
        /// The client's words.
        said: String,
    },
    /// Any other failure of the client.
    #[error("the dump client failed with {exit}: {said}")]
    Failed {
        /// How it ended.
        exit: Exit,
        /// Its words.
        said: String,
    },
    /// It says that all is well, and its last line is missing.
    #[error("the dump client returned 0, but the dump does not end with `-- Dump completed`")]
    NoMark,
    /// What the guest counted and what arrived differ.
    #[error("the guest counted {counted_bytes} bytes of the dump, and {received_bytes} arrived")]
    BytesDiffer {
        /// In the guest.
        counted_bytes: u64,
        /// Here.
        received_bytes: u64,
    },
    /// The client returned 0 and spoke of an error.
    #[error("the dump client returned 0, and spoke of an error: {said}")]
    SpokeOfAnError {
        /// Its words.
        said: String,
    },
}

impl NotWhole {
    /// Whether the same dump, made again, may well be whole.
    pub fn is_worth_a_retry(&self) -> bool {
        matches!(self, Self::Changed { .. })
    }

    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Killed { .. } => Some("in the guest: was it the OOM killer (journalctl -k), or a person?"),
            Self::ServerGone { .. } => Some(
                "the server's error log in the guest says why: a restart, a crash, the OOM killer; a KILL of the connection; or \
                 net_write_timeout, where the dump's target was slow",
            ),
            Self::Denied { .. } => Some(
                "the account needs SELECT, SHOW VIEW, TRIGGER, EVENT, and to see the binlog's position; on MySQL RELOAD and PROCESS, on \
                 MariaDB EXECUTE where a view calls a function",
            ),
            Self::NotFound { .. } => {
                Some("is the name right, with its capitals? A server hides a table from who has no right on it")
            }
            Self::BrokenView { .. } => {
                Some("repair or drop that view, or leave it out of the dump: CHECK TABLE names what it lacks")
            }
            Self::Changed { .. } => Some("make it again while no ALTER, CREATE or DROP runs"),
            Self::NoMark => Some(
                "skip-comments or compact may be built into the client: stillpoint gives it none of the guest's option files",
            ),
            Self::Output { .. } | Self::BytesDiffer { .. } => Some("make it again"),
            Self::Failed { .. } | Self::SpokeOfAnError { .. } => None,
        }
    }
}
