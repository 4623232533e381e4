//! The program as a shell, cron or systemd starts it: what it ends with, and what it does not inherit from whoever started it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clean;
mod doctor;
mod exit_codes;
mod inherited;
mod output;
mod progress;
mod started;
