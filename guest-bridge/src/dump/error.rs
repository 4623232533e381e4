//! What can go wrong with a dump on its way out of a guest.

use std::borrow::Cow;

use crate::{agent::AgentError, database::DatabaseError};

/// Why there is no dump, or not all of it. What came of one that was carried out whole is for [`verdict`](super::verdict()).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The guest cannot make one.
    #[error("no dump can be made in the guest: {problem}")]
    Impossible {
        /// What is missing there.
        problem: String,
    },
    /// The guest agent failed.
    #[error("{doing} failed on its way through the guest agent: {source}")]
    Agent {
        /// What was being done.
        doing: &'static str,
        /// What the agent said.
        source: AgentError,
    },
    /// Nothing came.
    #[error("the dump stands still: nothing came within {waited_ms} ms, after {received_bytes} bytes")]
    NoProgress {
        /// How long the next piece was waited for.
        waited_ms: u64,
        /// What had come before.
        received_bytes: u64,
    },
    /// The guest does not have it any more.
    #[error("the dump is gone from the guest, after {received_bytes} bytes")]
    Gone {
        /// What had come before.
        received_bytes: u64,
    },
    /// What the client made, and what arrived, are not the same.
    #[error(
        "the dump was damaged on its way: the guest counted {counted_bytes} bytes, and its end did not come behind them"
    )]
    BytesDiffer {
        /// What the guest counted.
        counted_bytes: u64,
    },
    /// The guest's answer is none.
    #[error("the guest's answer to {doing} makes no sense: {detail}")]
    Unexpected {
        /// What was being done.
        doing: &'static str,
        /// What came.
        detail: String,
    },
    /// An earlier call was given up, and a piece of the dump with it.
    #[error("the dump was not read on: an earlier piece of it was given up")]
    Closed,
    /// What is left of it could not be removed.
    #[error("a dump could not be ended in the guest: {problem}")]
    StillThere {
        /// What the guest said.
        problem: String,
    },
    /// The database refused something, or its session was lost.
    #[error("the database, before the dump: {0}")]
    Database(#[from] DatabaseError),
    /// The lock was given back before the client had its snapshot, or it is not known whether it was held until then.
    #[error("the dump is not of the coordinates that were noted: {problem}")]
    NotCoordinated {
        /// What happened.
        problem: String,
    },
}

impl DumpError {
    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Impossible { .. } => {
                "the guest needs the dump client of its own server (packages mariadb-client, mysql-client), dd, tee and a /run or \
                 /dev/shm in memory"
            }
            Self::NoProgress { .. } => {
                "in the guest SHOW PROCESSLIST says what the client waits for: mostly a lock that an ALTER holds"
            }
            Self::Gone { .. } => {
                "it ends by itself where nobody reads for too long, as when a target is slow, and after its lifetime; the guest's \
                 journal says whether something killed it"
            }
            Self::BytesDiffer { .. } => "somebody else may have read from the dump's FIFO in the guest; make it again",
            Self::StillThere { .. } => "it ends by itself in the guest, at the latest after its lifetime",
            Self::Agent { source, .. } => return source.hint().map(Cow::Borrowed),
            Self::Database(error) => return error.hint(),
            Self::NotCoordinated { .. } => "make it again; the server's load may be too high for the lock's deadlines",
            Self::Unexpected { .. } | Self::Closed => return None,
        };
        Some(Cow::Borrowed(hint))
    }
}
