//! The scenarios that need a real hypervisor, real LVM and a real guest. `./test` runs them inside the lab.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backup;
mod clean;
mod control_group;
mod doctor;
mod dump;
mod files;
mod foresight;
mod grade;
mod identity;
mod killed;
mod lock_deadline;
mod mysql;
mod overflow;
mod plan_and_check;
mod refusals;
mod signals;
mod state_folder;
mod thaw;
mod the_lab;
