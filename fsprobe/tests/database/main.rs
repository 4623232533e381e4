//! The logs of database servers: what a real MariaDB says of itself, and a real MySQL said, is what is found in the bytes.
//!
//! Needs `mariadb-server`; root, loop devices, e2fsprogs and xfsprogs for what is read from a snapshot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod binlog;
mod binlog_damage;
mod binlog_of_mysql;
mod recorded_mysql;
mod redo;
mod redo_damage;
mod server;
mod snapshot;
