//! Regular files by the number of their inode, against the kernel that wrote them.
//!
//! Needs root, loop devices, e2fsprogs and xfsprogs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hostile;
mod kernel;
mod support;
