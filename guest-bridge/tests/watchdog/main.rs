//! The watchdog by its script itself: run by dash and by busybox, on filesystems of the test's own, which the test freezes.
//!
//! Needs root, dash, busybox, e2fsprogs, util-linux and mount; strace for one test. A watchdog lives in a tmpfs of the test's own, and is
//! told the test's own mounts: nothing else of this machine is ever frozen or thawed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alone;
mod guest;
#[path = "../places/local_agent.rs"]
mod local_agent;
mod memory;
mod order;
mod thaw;
