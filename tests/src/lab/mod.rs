//! What a scenario needs to act in the lab and to judge what it finds there.
//!
//! None of it uses the code under test: the guest is asked by a client of its own over a port of its own, volumes
//! through LVM's programs. A fault in the tool cannot hide itself from its judge.
//!
//! Everything here panics with a sentence when the lab itself misbehaves: the caller is a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod agent;
pub mod blocker;
pub mod extra_disk;
pub mod guest;
pub mod proof;
pub mod proxy;
pub mod recovered;
pub mod scenario;
pub mod stillpoint;
pub mod sweep;
pub mod volume;
