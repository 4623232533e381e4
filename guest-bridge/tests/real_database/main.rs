//! Both kinds of session against a real server, which these tests start for themselves: the MariaDB of this
//! machine, or one that `tests/servers/build` has made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod acknowledged;
mod agent;
mod channel;
mod dump;
mod locking;
mod mariadb;
mod mysql;
mod net;
mod option_files;
mod server;
mod tls;
