//! What a person, a mail and a program see of a backup: a recorded one, played through the listener and the voice that every
//! backup has, into terminals of several widths and into a pipe.
//!
//! Snapshots are accepted with `INSTA_UPDATE=always` once they were read. `host/examples/replay_events.rs` shows the same on
//! a real terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod json;
mod played;
mod text;
