//! The COW of a snapshot while the snapshot is needed: how it fills, and what it means that it is full.

pub mod attached;
pub mod full;
pub mod gauge;
pub mod watch;
