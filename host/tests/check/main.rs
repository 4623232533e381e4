//! `stillpoint check` as a shell calls it: what is no disk, what is a broken one, what memory it takes, and whether the lines
//! that it prints hold. Needs root and loop devices; fdisk, e2fsprogs, util-linux, xfsprogs, zstd.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod lab;
mod memory;
mod mount_hints;
