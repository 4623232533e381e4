//! The errors that the kernel has recorded in the superblock.
//!
//! <https://docs.kernel.org/filesystems/ext4/super.html>: `s_error_count` and the `s_first_error_*`, `s_last_error_*` fields.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::fields::{array, byte, joined, le32, le64, text};
use super::superblock::Superblock;
use super::time::utc;

/// One recorded error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordedError {
    /// When, in seconds since 1970.
    pub time_seconds: u64,
    /// The inode it was about, or 0.
    pub inode: u32,
    /// The block it was about, or 0.
    pub block: u64,
    /// The kernel function that saw it, escaped for a terminal.
    pub function: String,
    /// The source line in it.
    pub line: u32,
    /// What kind of error, as ext4 numbers them (`EXT4_ERR_*`), by its errno name.
    pub errno: Cow<'static, str>,
}

/// The first and the last error, and how many there were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorRecord {
    /// `s_error_count`: since the last e2fsck.
    pub count: u32,
    /// The first one.
    pub first: RecordedError,
    /// The latest one.
    pub last: RecordedError,
}

impl ErrorRecord {
    /// What the superblock says; `None` where it says that there were no errors.
    #[must_use]
    pub fn of(superblock: &Superblock) -> Option<Self> {
        let raw = superblock.raw();
        let count = le32(raw, 0x194);
        (count > 0).then(|| Self {
            count,
            first: RecordedError {
                time_seconds: joined(byte(raw, 0x278).into(), le32(raw, 0x198)),
                inode: le32(raw, 0x19c),
                block: le64(raw, 0x1a0),
                function: text(&array::<32>(raw, 0x1a8)),
                line: le32(raw, 0x1c8),
                errno: errno_name(byte(raw, 0x27a)).into(),
            },
            last: RecordedError {
                time_seconds: joined(byte(raw, 0x279).into(), le32(raw, 0x1cc)),
                inode: le32(raw, 0x1d0),
                line: le32(raw, 0x1d4),
                block: le64(raw, 0x1d8),
                function: text(&array::<32>(raw, 0x1e0)),
                errno: errno_name(byte(raw, 0x27b)).into(),
            },
        })
    }
}

impl std::fmt::Display for RecordedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {} in {}:{}", self.errno, utc(self.time_seconds), self.function, self.line)?;
        if self.inode != 0 {
            write!(f, ", inode {}", self.inode)?;
        }
        if self.block != 0 {
            write!(f, ", block {}", self.block)?;
        }
        Ok(())
    }
}

/// ext4's own numbers, which it keeps apart from the errno of any architecture.
fn errno_name(code: u8) -> &'static str {
    const NAMES: [&str; 17] = [
        "unknown error",
        "EIO",
        "ENOMEM",
        "EFSBADCRC",
        "EFSCORRUPTED",
        "ENOSPC",
        "ENOKEY",
        "EROFS",
        "EFBIG",
        "EEXIST",
        "ERANGE",
        "EOVERFLOW",
        "EBUSY",
        "ENOTDIR",
        "ENOTEMPTY",
        "ESHUTDOWN",
        "EFAULT",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("unknown error")
}
