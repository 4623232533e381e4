//! Linux software RAID (`drivers/md/md.c`): a member's superblock lies at its start, 4 KiB on, or near its end.

use crate::ReadAt;
use crate::bytes::{le32, le64};
use crate::read_at::read;

const MD_SB_MAGIC: u32 = 0xa92b_4efc;

pub(super) fn is_member(volume: &dyn ReadAt, head: &[u8]) -> bool {
    // Format 1: magic, major_version, and at byte 144 the sector that the superblock itself is in.
    let version_1 =
        |bytes: &[u8], sector: u64| le32(bytes, 0) == MD_SB_MAGIC && le32(bytes, 4) == 1 && le64(bytes, 144) == sector;
    let at = |offset: usize| head.get(offset..).unwrap_or_default();
    if version_1(at(0), 0) || version_1(at(4096), 8) {
        return true;
    }
    let sectors = volume.size_bytes() / 512;
    let tail = |sector: Option<u64>| sector.and_then(|sector| read(volume, sector * 512, 256, "").ok());
    let end_1_0 = sectors.checked_sub(16).map(|sector| sector & !7);
    let end_0_90 = (sectors & !127).checked_sub(128);
    tail(end_1_0).is_some_and(|bytes| version_1(&bytes, end_1_0.unwrap_or(0)))
        || tail(end_0_90).is_some_and(|bytes| le32(&bytes, 0) == MD_SB_MAGIC && le32(&bytes, 4) == 0)
}
