//! The COW of a snapshot: what it will need, how it fills while the snapshot is needed, and what it means that it is full.

pub mod attached;
pub mod curve;
pub mod fill;
pub mod forecast;
pub mod full;
pub mod gauge;
pub mod history;
pub mod watch;
pub mod writes;
