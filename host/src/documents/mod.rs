//! The documents that others read: receipt and plan, as JSON. `docs/formats.md` describes them, `docs/schema/` has them
//! for machines. What the program works with has types of its own: these change by their contract alone.
//!
//! The run log's lines are [`run::entry`](crate::run::entry), what `check` prints is [`fsprobe::Report`].

pub mod plan;
pub mod receipt;
