//! What a disk holds, said from its bytes alone.
//!
//! `fsprobe` reads partition tables, LVM2 metadata and filesystems through [`ReadAt`] and reports what it found.
//! It never writes, never mounts, and knows no device, process or network.

#![forbid(unsafe_code)]

mod error;
mod extent;
mod finding;
mod read_at;
mod report;

pub use error::ProbeError;
pub use extent::{Extent, ExtentSet};
pub use finding::{Finding, Findings, Severity, Verdict};
pub use read_at::{ReadAt, Window};
pub use report::{Depth, Ext4Check, Ext4Summary};
