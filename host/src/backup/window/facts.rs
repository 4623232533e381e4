//! What became of lock and freeze: claims, to be held against the evidence.

use guest_bridge::database::engine_logs::EngineLogs;
use guest_bridge::database::lock::LockLost;

/// What happened to the database in the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockFacts {
    /// No database was configured.
    NotAsked,
    /// The session that held the lock still held it after the snapshot.
    HeldThrough,
    /// It did, but what was acknowledged before it need not have been in the files.
    EngineLogsNotFlushed {
        /// What the server answered, with its product and its setting.
        reason: String,
    },
    /// Commits went on under it, or there was none.
    CommitsWentOn {
        /// Why one that they wait for is needed; `None` where the image's own logs are as good.
        needed_because: Option<String>,
    },
    /// The lock ran out, or its session died, before the snapshot was known to be there.
    Lost {
        /// What the check said.
        reason: String,
    },
}

impl LockFacts {
    /// What the session said at the unlock, and the engines before.
    #[must_use]
    pub fn of(held: Result<(), LockLost>, engine_logs: &EngineLogs) -> Self {
        match (held, engine_logs) {
            (Err(lost), _) => Self::Lost { reason: lost.to_string() },
            (Ok(()), EngineLogs::NotFlushed { reason }) => Self::EngineLogsNotFlushed { reason: reason.clone() },
            (Ok(()), EngineLogs::Flushed | EngineLogs::WrittenAtCommit) => Self::HeldThrough,
        }
    }

    /// The same of a lock that commits do not wait for.
    #[must_use]
    pub fn where_commits_went_on(self, needed_because: Option<String>) -> Self {
        match self {
            Self::HeldThrough => Self::CommitsWentOn { needed_because },
            worse => worse,
        }
    }
}

/// What happened to the guest's filesystems in the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FreezeFacts {
    /// There is no agent to ask.
    NoAgent,
    /// No freeze was asked for.
    NotAsked,
    /// The agent's own counts. They are claims; the proof is on the disk.
    Counted {
        /// Filesystems that the agent says it froze.
        frozen: u32,
        /// Filesystems that the agent says it thawed; `None` where the reply that said so was lost.
        thawed: Option<u32>,
    },
}
