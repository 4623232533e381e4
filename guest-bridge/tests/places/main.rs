//! Where things lie, and markers, by the script itself: run by dash and by busybox, on disks of the test's own.
//!
//! Needs root, dash, busybox, e2fsprogs and mount, and for most tests the kernel's zram: where there is none they say so, and end. The
//! script never sees this machine's mounts, but those of the test, and `/` as if it were read-only: nothing is written to this machine's
//! filesystems.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod disk;
mod local_agent;
mod look;
mod mark;
