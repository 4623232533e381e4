//! `stillpoint ls`, `cat` and `cp` as a shell calls them, against the kernel's own view. Needs root, for loop mounts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod copy;
mod hostile;
mod image;
mod show;
mod tree;
