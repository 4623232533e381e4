//! Where things lie, and markers, by the script itself: run by dash and by busybox, on disks of the test's own.
//!
//! Needs root, the kernel's zram, dash, busybox, e2fsprogs and mount. The script never sees this machine's mounts, but those of the test,
//! and `/` as if it were read-only: nothing is written to this machine's filesystems.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod disk;
mod local_agent;
mod look;
mod mark;
