//! Why a volume is no origin.

use thiserror::Error;

use super::NameError;

/// Why a volume cannot be backed up through a snapshot, now or ever.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoOrigin {
    /// A snapshot of a snapshot there is not.
    #[error("it is itself a snapshot, of {origin}")]
    Snapshot {
        /// What it is a snapshot of.
        origin: String,
    },
    /// A thin pool, which no guest has as its disk.
    #[error("it is a thin pool")]
    ThinPool,
    /// An image, log or metadata volume of another one.
    #[error("it is a part of another volume")]
    Part,
    /// `lvconvert --merge` is under way.
    #[error("a snapshot is being merged into it")]
    Merging,
    /// `pvmove` is under way.
    #[error("pvmove is at work on it")]
    Moving,
    /// Its writes hang, and so does its guest.
    #[error("it is suspended, so that its guest's disk hangs")]
    Suspended,
    /// It has no device.
    #[error("it is not active")]
    Inactive,
    /// LVM finds no device-mapper, or other tables in the kernel than its metadata asks for.
    #[error("LVM cannot tell in which state it is")]
    StateUnknown,
    /// It is not whole.
    #[error("a physical volume of it is missing")]
    PvMissing,
    /// The COW volume beside it cannot be called what it has to be called.
    #[error("its COW volume cannot be named: {0}")]
    CowName(NameError),
}
