//! What MariaDB alone has, or says in its own words.

mod account;
mod backup_stage;
mod galera;
mod replication;
