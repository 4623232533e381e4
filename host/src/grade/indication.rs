//! What kept an artifact from a better grade, in words for machines.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that kept an artifact from a better grade. The word is a contract: it keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Indication {
    /// The bytes of a volume are damaged.
    Damaged,
    /// No agent is configured, and the disks are in use.
    NoAgent,
    /// A freeze was declined.
    QuiesceDeclined,
    /// A filesystem was not frozen at the snapshot, or the agent froze none.
    QuiesceFailed,
    /// What a volume holds cannot show whether it was frozen.
    QuiesceNotProven,
    /// Fewer filesystems were still frozen at the thaw than had been frozen, or nobody knows how many.
    ThawedEarly,
    /// Which volume is which filesystem of the guest could not be proven.
    IdentityNotProven,
    /// A filesystem of the guest is on no disk of the job.
    FilesystemNotInImage,
    /// Something that the database keeps is on no volume of the job.
    DatabaseNotInImage,
    /// No database is configured.
    NoDatabase,
    /// No lock was wanted, of a server whose images need one.
    LockDeclined,
    /// The lock on the tables did not outlast the snapshot.
    LockLost,
    /// Acknowledged transactions may be in no file.
    EngineLogsNotFlushed,
    /// The database's own log, in the image, goes on behind the coordinates.
    LogBeyondCoordinates,
    /// The database's own log, in the image, does not reach the coordinates, or is torn before them.
    LogShortOfCoordinates,
    /// The server's own log, in the image, could not be held against the receipt.
    LogNotProven,
    /// The image holds another server's files than those of the one that was locked.
    OtherServer,
    /// A volume was not unmounted.
    NotUnmounted,
    /// A database was not shut down, or whether one was could not be seen.
    DatabaseNotShutDown,
    /// What a newer program says there.
    #[cfg_attr(feature = "schema", schemars(skip))]
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Indication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Receipts have them, and programs act on them.
    #[test]
    fn a_word_is_the_same_as_ever() {
        let all = [
            (Indication::Damaged, "damaged"),
            (Indication::NoAgent, "no-agent"),
            (Indication::QuiesceDeclined, "quiesce-declined"),
            (Indication::QuiesceFailed, "quiesce-failed"),
            (Indication::QuiesceNotProven, "quiesce-not-proven"),
            (Indication::ThawedEarly, "thawed-early"),
            (Indication::IdentityNotProven, "identity-not-proven"),
            (Indication::FilesystemNotInImage, "filesystem-not-in-image"),
            (Indication::DatabaseNotInImage, "database-not-in-image"),
            (Indication::NoDatabase, "no-database"),
            (Indication::LockDeclined, "lock-declined"),
            (Indication::LockLost, "lock-lost"),
            (Indication::EngineLogsNotFlushed, "engine-logs-not-flushed"),
            (Indication::LogBeyondCoordinates, "log-beyond-coordinates"),
            (Indication::LogShortOfCoordinates, "log-short-of-coordinates"),
            (Indication::LogNotProven, "log-not-proven"),
            (Indication::OtherServer, "other-server"),
            (Indication::NotUnmounted, "not-unmounted"),
            (Indication::DatabaseNotShutDown, "database-not-shut-down"),
        ];
        for (indication, word) in all {
            assert_eq!(serde_json::to_value(indication).unwrap(), word);
            assert_eq!(indication.to_string(), word);
        }
        assert_eq!(serde_json::from_str::<Indication>("\"of-tomorrow\"").unwrap(), Indication::Unknown);
    }
}
