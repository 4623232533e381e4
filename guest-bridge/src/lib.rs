//! The guest, from outside: its QEMU guest agent and its database.
#![forbid(unsafe_code)]

pub mod agent;
