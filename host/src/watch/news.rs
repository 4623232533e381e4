//! What is told at once.

use std::fmt;

use lvm::Bytes;

use crate::documents::watch::PoolMode;

/// What is told at once.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Something got over the alert's share.
    Over {
        /// It.
        name: String,
        /// How full it is.
        percent: f64,
        /// In how many seconds it is full.
        full_in_s: Option<u64>,
    },
    /// A snapshot is lost: its COW was full.
    Full {
        /// It.
        name: String,
        /// How full it was when it was last seen whole.
        percent: f64,
        /// How fast it filled, in bytes a second.
        per_second: u64,
    },
    /// A snapshot is lost, and its COW was not what ended it.
    Failed {
        /// It.
        name: String,
        /// How full it was when it was last seen whole.
        percent: f64,
    },
    /// A snapshot was lost before anybody looked.
    FoundLost {
        /// It.
        name: String,
    },
    /// A thin pool does not take what its volumes write.
    PoolStopped {
        /// It.
        name: String,
        /// How it is.
        mode: PoolMode,
    },
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over { name, percent, full_in_s } => {
                write!(f, "{name} is {percent:.0}% full")?;
                full_in_s.map_or(Ok(()), |seconds| write!(f, ", and all of it in {seconds} s"))
            }
            Self::Full { name, percent, per_second } => write!(
                f,
                "{name} is lost: its COW was full. It was at {percent:.0}%, and filled by {} a second; it costs its origin's writes nothing any \
                 more, and `stillpoint clean` takes it down",
                Bytes(*per_second)
            ),
            Self::Failed { name, percent } => write!(
                f,
                "{name} is lost, {percent:.0}% full when it was last whole: its COW was not what ended it, so look in dmesg whether its disk \
                 fails"
            ),
            Self::FoundLost { name } => write!(f, "{name} was lost before anybody looked: nothing can be read of it"),
            Self::PoolStopped { name, mode: PoolMode::OutOfDataSpace } => {
                write!(
                    f,
                    "{name} has no free data block: every volume in it waits or fails at its next write to a new one"
                )
            }
            Self::PoolStopped { name, mode: PoolMode::ReadOnly } => {
                write!(f, "{name} takes no writes: it is read-only")
            }
            Self::PoolStopped { name, .. } => {
                write!(f, "{name} has failed, or wants a repair (thin_check, lvconvert --repair)")
            }
        }
    }
}
