//! Looking into a disk, snapshot, image or artifact: whether it is sound, and the files in it. Read-only, without a mount.

pub mod check;
pub mod disk;
pub mod extract;
pub mod files;
pub mod held_still;
