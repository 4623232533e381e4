//! The layout of disks and the state of what is on them, against the tools that make them.
//!
//! Needs root, loop devices, and: fdisk, gdisk, lvm2, e2fsprogs, xfsprogs, ntfs-3g, dosfstools.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod built;
#[path = "../failing/mod.rs"]
mod failing;
mod fat;
mod hostile;
mod identity;
mod kinds;
mod lvm2;
mod medium;
mod ntfs;
mod recognised;
mod support;
mod table;
mod truncated;
mod xfs;
