//! Backs up a database VM while it works, and proves what it backed up.

pub mod lvm;
pub mod programs;
