//! Backs up a database VM while it works, and proves what it backed up.

pub mod artifact;
pub mod copy;
pub mod device;
pub mod lvm;
pub mod programs;
