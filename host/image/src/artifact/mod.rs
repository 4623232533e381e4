//! Artifacts as files: how they come to be, whole or not at all, and how they are read.

mod error;
mod partial;
mod reader;
mod stream;

use std::path::Path;

use fsprobe::ReadAt;
use zstd::zstd_safe::MAGICNUMBER;

pub use self::{
    error::ArtifactError,
    partial::{Partial, Target, remove_partial},
    reader::{ArtifactReader, MAX_FRAME_BYTES, MAX_FRAMES},
    stream::Stream,
};
use crate::device::Device;

/// The disk in `path`: a block device or raw image as it is, an artifact by what it holds.
///
/// # Errors
/// [`ArtifactError::Device`] where it cannot be opened; else what [`ArtifactReader::new`] says of a zstd file.
pub fn open_disk(path: &Path) -> Result<Box<dyn ReadAt>, ArtifactError> {
    let device = Device::open(path)?;
    if is_artifact(&device) { Ok(Box::new(ArtifactReader::new(device)?)) } else { Ok(Box::new(device)) }
}

/// Whether `path` holds a packed disk, so that its bytes are not the disk's.
#[must_use]
pub fn is_packed(path: &Path) -> bool {
    Device::open(path).is_ok_and(|device| is_artifact(&device))
}

/// A block device is none: its first bytes are the guest's, who could show another disk in place of its own.
fn is_artifact(device: &Device) -> bool {
    let mut magic = [0; 4];
    device.is_file() && device.read_exact_at(&mut magic, 0).is_ok() && magic == MAGICNUMBER.to_le_bytes()
}
