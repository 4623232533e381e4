//! What a disk holds, said from its bytes alone.
//!
//! `fsprobe` reads partition tables, LVM2 metadata and filesystems through [`ReadAt`] and reports what it found.
//! It never writes, never mounts, and knows no device, process or network.

#![forbid(unsafe_code)]

mod read_at;

pub use read_at::{ReadAt, Window};
