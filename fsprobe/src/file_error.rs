//! Why a file cannot be read by the number of its inode.

use crate::{Kind, ProbeError};

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Files can be read on ext2, ext3, ext4 and XFS only.
    #[error("files on {0} cannot be read here: only those of ext2, ext3, ext4 and xfs can")]
    Unreadable(Kind),
    /// The filesystem has no such inode, or nothing uses it.
    #[error("there is no file with the inode {inode}: {detail}")]
    NotThere {
        /// What was asked for.
        inode: u64,
        /// Out of range, or free.
        detail: String,
    },
    /// A folder, a symlink, a device: nothing with content of its own.
    #[error("inode {inode} is no regular file")]
    NotRegular {
        /// What was asked for.
        inode: u64,
    },
    /// The filesystem is damaged on the way to the file, or goes beyond what is understood here.
    #[error("the file cannot be read: {detail}")]
    Bad {
        /// What, and where.
        detail: String,
    },
    /// The medium refused to be read.
    #[error(transparent)]
    Io(#[from] ProbeError),
}

impl FileError {
    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::Bad { detail: detail.into() }
    }
}
