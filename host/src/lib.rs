//! Backs up a database VM while it works, and proves what it backed up.
//!
//! The recipe is [`backup::run`]; everything else is a piece of it.

pub mod ask;
pub mod backup;
pub(crate) mod blocking;
pub mod clean;
pub mod cli;
pub mod clock;
pub mod cow;
pub mod doctor;
pub mod documents;
pub mod failure;
pub mod grade;
pub mod inspect;
pub mod recover;
pub mod run;
pub mod show;
pub mod step;
pub mod stop;
pub mod watch;
