//! What is asked for: the command line and the configuration together, and the seams to the world that it names.

pub mod asked;
pub mod config;
pub mod connect;
pub mod cow_size;
pub mod database;
pub mod job;
pub mod lock_expiry;
pub mod policy;
pub mod setting;
pub mod share;
