//! What tests make on the machine that they run on: images, loop devices, mounts, and real peers of their own.
//!
//! Whatever takes something gives it back when it is dropped, also where the test has failed. Everything panics with a
//! sentence when the machine itself misbehaves: the caller is a test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod agent;
pub mod alone;
pub mod database_product;
pub mod database_server;
pub mod ext4;
pub mod guest_image;
pub mod image;
pub mod loop_device;
pub mod mount;
pub mod program;
