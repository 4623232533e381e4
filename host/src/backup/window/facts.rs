//! What became of lock and freeze: claims, to be held against the evidence.

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
    /// The lock ran out, or its session died, before the snapshot was known to be there.
    Lost {
        /// What the check said.
        reason: String,
    },
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
