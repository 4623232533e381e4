//! Who holds a device busy.

use std::fmt;

/// Something that keeps a block device open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A mount.
    Mount {
        /// Where it is mounted.
        mountpoint: String,
    },
    /// Another block device on top of it: a partition mapping of kpartx, a loop device, a nested volume group.
    Device {
        /// Its name: the dm name where it has one, else the kernel's.
        name: String,
    },
    /// A process that has it open.
    Process {
        /// The process.
        pid: u32,
        /// Its program.
        program: String,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount { mountpoint } => write!(f, "a mount on {mountpoint}"),
            Self::Device { name } => write!(f, "the device {name} on top of it"),
            Self::Process { pid, program } => write!(f, "{program} (pid {pid})"),
        }
    }
}
