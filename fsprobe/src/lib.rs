//! What a disk holds, said from its bytes alone.
//!
//! `fsprobe` reads partition tables, LVM2 metadata and filesystems through [`ReadAt`] and reports what it found.
//! It never writes, never mounts, and knows no device, process or network.

#![forbid(unsafe_code)]

mod allocated;
pub mod binlog;
mod boot_code;
mod bytes;
mod check;
mod error;
pub mod ext4;
mod extent;
mod file;
mod file_error;
mod finding;
mod identity;
mod kind;
mod layout;
mod liveness;
mod lvm2;
mod map;
mod mount_hint;
mod ntfs;
mod piece;
mod read_at;
pub mod redo;
mod report;
mod table;
mod volume;
mod xfs;

pub use allocated::allocated;
pub use boot_code::is_boot_code;
pub use check::check;
pub use error::ProbeError;
pub use extent::{Extent, ExtentSet};
pub use file::with_file;
pub use file_error::FileError;
pub use finding::{Finding, Findings, Severity, Verdict};
pub use kind::Kind;
pub use layout::{Disk, layout};
pub use liveness::Liveness;
pub use mount_hint::{MountHint, mount_hint, shell_path};
pub use piece::{Stripes, VolumePiece};
pub use read_at::{ReadAt, Window};
pub use report::{Depth, Ext4Check, Ext4Summary, Report, VolumeReport};
pub use table::Table;
pub use volume::{Volume, VolumeReader};
