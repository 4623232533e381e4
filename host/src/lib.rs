//! Backs up a database VM while it works, and proves what it backed up.
//!
//! The recipe is [`backup::run`]; everything else is a piece of it.

pub mod artifact;
pub mod backup;
pub(crate) mod blocking;
pub mod cli;
pub mod clock;
pub mod config;
pub mod copy;
pub mod cow_full;
pub mod cow_size;
pub mod cow_watch;
pub mod device;
pub mod evidence;
pub mod exit;
pub mod extract;
pub mod failure;
pub mod files;
pub mod grade;
pub mod grading;
pub mod guest_sync;
pub mod job;
pub mod lvm;
pub mod output;
pub mod plan;
pub mod programs;
pub mod receipt;
pub mod run_log;
pub mod snapshots;
pub mod step;
pub mod stop;
pub mod survey;
pub mod taking;
pub mod transfer;
pub mod window;
pub mod witness;
pub mod world;
