//! Why something was not copied.

use std::io;

use fsprobe::Severity;
use fsprobe::ext4::Fault;
use rustix::io::Errno;

use super::MAX_DEPTH;

/// Why one file was not copied, or why the copy ended.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The filesystem.
    #[error(transparent)]
    Read(#[from] Fault),
    /// Its blocks cannot be read.
    #[error("cannot read {length_bytes} bytes at byte {offset_bytes} of it: {source}")]
    Content {
        /// In the file.
        offset_bytes: u64,
        /// How much was asked for.
        length_bytes: u64,
        /// What the medium said.
        source: io::Error,
    },
    /// The destination.
    #[error("cannot {what}: {source}")]
    Write {
        /// What was tried, as `create it`.
        what: &'static str,
        /// What the kernel said.
        source: Errno,
    },
    /// Something has that name.
    #[error("there is something with that name already, which is left as it is; --overwrite replaces files")]
    Exists,
    /// A folder is in two places, or in itself.
    #[error("inode {inode} is a folder that was entered already: it has two names, or lies inside of itself")]
    SecondName {
        /// The folder's.
        inode: u32,
    },
    /// Folders inside each other.
    #[error("it is more than {MAX_DEPTH} folders deep")]
    TooDeep,
    /// The filesystem claims to hold more than it can.
    #[error("its files have more {what} than a filesystem of its size can hold: blocks belong to several files")]
    TooMuch {
        /// The unit.
        what: &'static str,
    },
    /// A signal.
    #[error("stopped by a signal: what follows is missing")]
    Stopped,
}

impl Trouble {
    pub(super) fn write(what: &'static str, source: Errno) -> Self {
        if source == Errno::EXIST { Self::Exists } else { Self::Write { what, source } }
    }

    /// Nothing that follows could be copied.
    pub(super) fn ends_all(&self) -> bool {
        match self {
            Self::Write { source, .. } => matches!(*source, Errno::NOSPC | Errno::DQUOT | Errno::ROFS),
            Self::TooMuch { .. } | Self::Stopped => true,
            _ => false,
        }
    }

    /// The filesystem that is read is damaged.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Read(Fault::Bad(finding)) => finding.severity == Severity::Damage,
            Self::SecondName { .. } | Self::TooMuch { .. } => true,
            _ => false,
        }
    }
}
