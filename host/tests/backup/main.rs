//! The whole recipe on a simulated host, guest and database: its order, and what a fault at any step leaves behind.
//!
//! Time is tokio's and stands still until everybody waits, so that deadlines of a minute cost nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dump;
mod faults;
mod foresight;
mod hostile;
mod identity;
mod log;
mod off;
mod peers;
mod recipe;
mod refusals;
mod setting;
mod signals;
mod thaw;
mod watchdog;
