//! The superblock of Btrfs ("On-disk Format", btrfs.readthedocs.io), as far as it says how large its device is.

use crate::bytes::{has, le64};
use crate::read_at::read;
use crate::{Finding, ProbeError, ReadAt};

const SUPERBLOCK: usize = 64 << 10;

pub(super) fn has_superblock(head: &[u8]) -> bool {
    has(head, SUPERBLOCK + 0x40, b"_BHRfS_M")
}

/// What is missing of a device: the kernel mounts none that is shorter than its `dev_item` says.
pub(crate) fn missing(volume: &dyn ReadAt) -> Result<Option<Finding>, ProbeError> {
    let superblock = read(volume, SUPERBLOCK as u64, 4096, "Btrfs superblock")?;
    let (total_bytes, has_bytes) = (le64(&superblock, 0xd1), volume.size_bytes());
    Ok((total_bytes > has_bytes).then(|| {
        let detail = format!("its device has {total_bytes} bytes, its volume {has_bytes}: is it truncated?");
        Finding::damage("btrfs-truncated", "superblock at byte 65536", detail)
    }))
}
