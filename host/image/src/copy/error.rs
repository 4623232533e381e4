//! Why a copy ended before its end.

use std::io;

use thiserror::Error;

/// Why there is no artifact. What was written so far is of no use.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The source could not be read. Of an LVM snapshot this is a failing disk *or* a full COW: ask LVM which.
    #[error("reading {size_bytes} bytes at byte {offset_bytes} of the source: {source}")]
    Read {
        /// The first byte that could not be read, to within 4096.
        offset_bytes: u64,
        /// How much was asked for there.
        size_bytes: u64,
        /// What the medium said.
        source: io::Error,
    },
    /// No room is left, no quota, or the file may not grow further (`ENOSPC`, `EDQUOT`, `EFBIG`).
    #[error("the target is full after {stored_bytes} bytes of the artifact: {source}")]
    TargetFull {
        /// How much of the artifact had been taken.
        stored_bytes: u64,
        /// What the target said.
        source: io::Error,
    },
    /// Nobody reads the other end of the pipe any more (`EPIPE`).
    #[error("the reader of the stream went away after {stored_bytes} bytes of the artifact")]
    TargetClosed {
        /// How much of the artifact had been taken.
        stored_bytes: u64,
    },
    /// The target failed in another way.
    #[error("writing byte {stored_bytes} of the artifact: {source}")]
    Write {
        /// How much of the artifact had been taken.
        stored_bytes: u64,
        /// What the target said.
        source: io::Error,
    },
    /// It was asked to stop.
    #[error("stopped after {copied_bytes} bytes of {total_bytes}")]
    Stopped {
        /// Allocated bytes that had been copied.
        copied_bytes: u64,
        /// Allocated bytes that there were.
        total_bytes: u64,
    },
    /// zstd refused a frame or a setting.
    #[error("zstd: {source}")]
    Compress {
        /// What it said.
        source: io::Error,
    },
    /// The copying threads ended before the copy did: a bug.
    #[error("the threads of the copy ended early; this is a bug")]
    Threads,
    /// The options cannot make an artifact of this disk.
    #[error("{0}")]
    Options(String),
    /// The ranges to copy are not in order, overlap, or pass the end of the disk.
    #[error(
        "the range of {size_bytes} bytes at byte {offset_bytes} is out of order or past the end of the disk ({disk_bytes} bytes)"
    )]
    Ranges {
        /// Where the offending range begins.
        offset_bytes: u64,
        /// How long it is.
        size_bytes: u64,
        /// How large the disk is.
        disk_bytes: u64,
    },
}

impl CopyError {
    /// What it means that `stored_bytes` were written and then `source` came.
    pub(super) fn write(stored_bytes: u64, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::TargetFull { stored_bytes, source }
            }
            io::ErrorKind::BrokenPipe => Self::TargetClosed { stored_bytes },
            _ => Self::Write { stored_bytes, source },
        }
    }
}
