//! `stillpoint check` as a shell calls it: what is no disk, what is a broken one, and whether the lines that it prints
//! hold. Needs root and loop devices; fdisk, e2fsprogs, xfsprogs, zstd.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod lab;
mod mount_hints;
