//! Descriptor blocks: which filesystem blocks the journal blocks after them are copies of.
//!
//! <https://docs.kernel.org/filesystems/ext4/journal.html#descriptor-block>

use super::super::checksum::{crc32c_le, crc32c_without};
use super::super::fields::{be16, be32, joined};
use super::superblock::{ChecksumVersion, JournalSuperblock};
use super::{HEADER_SIZE, TAIL_SIZE};

const FLAG_ESCAPE: u16 = 1;
const FLAG_SAME_UUID: u16 = 2;
const FLAG_LAST_TAG: u16 = 8;

/// One block that a transaction holds a copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    /// The filesystem block.
    pub(super) block: u64,
    /// Its first four bytes were the journal's magic number, and are zero in the copy.
    pub(super) is_escaped: bool,
    checksum: u32,
}

impl Tag {
    /// Whether `copy`, as it is in the journal, is what transaction `sequence` wrote there.
    pub(super) fn verify(&self, superblock: &JournalSuperblock, sequence: u32, copy: &[u8]) -> bool {
        let computed = || crc32c_le(crc32c_le(superblock.checksum_seed(), &sequence.to_be_bytes()), copy);
        match superblock.checksum_version() {
            ChecksumVersion::V3 => self.checksum == computed(),
            ChecksumVersion::V2 => self.checksum == computed() & 0xffff,
            ChecksumVersion::V1 | ChecksumVersion::None => true,
        }
    }
}

/// The tags of a descriptor block. No more than fit into it, whatever it says.
pub(super) fn tags(block: &[u8], superblock: &JournalSuperblock) -> Vec<Tag> {
    let tag_size = match (superblock.checksum_version(), superblock.is_64bit()) {
        (ChecksumVersion::V3, _) => 16,
        (ChecksumVersion::V2, true) => 14,
        (ChecksumVersion::V2, false) => 10,
        (_, true) => 12,
        (_, false) => 8,
    };
    let end = block.len() - if superblock.has_block_tails() { TAIL_SIZE } else { 0 };
    let mut tags = Vec::new();
    let mut offset = HEADER_SIZE;
    while let Some(tag) = block.get(offset..offset + tag_size).filter(|_| offset + tag_size <= end) {
        let is_v3 = superblock.checksum_version() == ChecksumVersion::V3;
        let flags = be16(tag, 6);
        let high = if superblock.is_64bit() { be32(tag, 8) } else { 0 };
        tags.push(Tag {
            block: joined(high, be32(tag, 0)),
            is_escaped: flags & FLAG_ESCAPE != 0,
            checksum: if is_v3 { be32(tag, 12) } else { be16(tag, 4).into() },
        });
        offset += tag_size + if flags & FLAG_SAME_UUID == 0 { 16 } else { 0 };
        if flags & FLAG_LAST_TAG != 0 {
            break;
        }
    }
    tags
}

/// Whether the checksum at the end of a descriptor or revoke block is right, where there has to be one.
pub(super) fn verify_tail(block: &[u8], superblock: &JournalSuperblock) -> bool {
    let offset = block.len() - TAIL_SIZE;
    !superblock.has_block_tails()
        || be32(block, offset) == crc32c_without(superblock.checksum_seed(), block, offset, TAIL_SIZE)
}
