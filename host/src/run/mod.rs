//! One execution of a backup: the log of what it holds, and the steps that write it.

pub mod log;
pub mod steps;
