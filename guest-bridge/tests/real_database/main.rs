//! Both kinds of session against a real MariaDB server, which these tests start for themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod acknowledged;
mod agent;
mod galera;
mod locking;
mod net;
mod option_files;
mod replication;
mod server;
