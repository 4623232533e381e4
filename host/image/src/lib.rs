//! Disks and their images: opening a disk of this host, copying what it has allocated into an artifact, and reading an
//! artifact as the disk that it is.
//!
//! Knows of a disk that its bytes can be read, and nothing of LVM, guests or backups.

pub mod artifact;
pub mod copy;
pub mod device;
