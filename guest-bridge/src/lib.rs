//! The guest, from outside: its QEMU guest agent and its database.
#![forbid(unsafe_code)]

pub mod agent;
#[cfg(any(test, feature = "scripted"))]
pub mod call_log;
pub mod database;
pub mod dump;
pub mod places;
pub mod qmp;
mod random_name;
pub mod watchdog;
