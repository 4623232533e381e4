//! A dump of a real server, by its own client, carried out through a real agent.

mod everything;
mod faults;
mod leftovers;
pub mod machine;
mod stream;
mod surveyed;
