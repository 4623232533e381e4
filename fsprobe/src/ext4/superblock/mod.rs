//! The superblock.
//!
//! <https://docs.kernel.org/filesystems/ext4/super.html>; 1024 bytes, little-endian.

mod flags;
mod geometry;

use super::checksum::crc32c_le;
use super::fault::Fault;
use super::features::incompat;
use super::fields::{array, byte, joined, le16, le32, le64, text};

/// Where the primary superblock begins, on any block size.
pub const PRIMARY_OFFSET_BYTES: u64 = 1024;
/// Its length.
pub const SIZE_BYTES: usize = 1024;
/// Where in it `s_checksum` is.
pub(super) const CHECKSUM_OFFSET: usize = 0x3fc;
/// Where in it `s_feature_incompat` is.
pub(super) const FEATURE_INCOMPAT_OFFSET: usize = 0x60;

const MAGIC: u16 = 0xef53;
/// `s_first_ino` of the first revision, and the least one of any.
const GOOD_OLD_FIRST_INO: u32 = 11;

/// A superblock whose geometry has been validated. Fields keep the kernel's names.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // The fields are those of the page linked above.
pub struct Superblock {
    pub s_inodes_count: u32,
    pub s_blocks_count: u64,
    pub s_r_blocks_count: u64,
    pub s_free_blocks_count: u64,
    pub s_free_inodes_count: u32,
    pub s_first_data_block: u32,
    pub s_log_block_size: u32,
    pub s_log_cluster_size: u32,
    pub s_blocks_per_group: u32,
    pub s_clusters_per_group: u32,
    pub s_inodes_per_group: u32,
    pub s_wtime: u32,
    pub s_state: u16,
    pub s_rev_level: u32,
    pub s_first_ino: u32,
    pub s_inode_size: u16,
    pub s_block_group_nr: u16,
    pub s_feature_compat: u32,
    pub s_feature_incompat: u32,
    pub s_feature_ro_compat: u32,
    pub s_uuid: [u8; 16],
    /// Label, escaped for a terminal.
    pub s_volume_name: String,
    /// Where it was last mounted, escaped for a terminal.
    pub s_last_mounted: String,
    pub s_reserved_gdt_blocks: u16,
    pub s_journal_uuid: [u8; 16],
    pub s_journal_inum: u32,
    pub s_journal_dev: u32,
    pub s_last_orphan: u32,
    /// Bytes of a group descriptor: 32, or what the field says with `64bit`.
    pub s_desc_size: u16,
    pub s_first_meta_bg: u32,
    pub s_mmp_block: u64,
    pub s_log_groups_per_flex: u8,
    pub s_checksum_type: u8,
    pub s_backup_bgs: [u32; 2],
    pub s_checksum_seed: u32,
    pub s_orphan_file_inum: u32,
    pub s_checksum: u32,
    raw: [u8; SIZE_BYTES],
}

impl Superblock {
    /// Reads the fields of `raw` and validates what other structures are found by.
    ///
    /// # Errors
    /// `superblock-magic`, `superblock-geometry`: the reason, at `place`.
    pub fn parse(raw: &[u8; SIZE_BYTES], place: &str) -> Result<Self, Fault> {
        let s_magic = le16(raw, 0x38);
        if s_magic != MAGIC {
            return Err(Fault::damage("superblock-magic", place, format!("s_magic is {s_magic:#x}, not {MAGIC:#x}")));
        }
        let s_rev_level = le32(raw, 0x4c);
        let old_revision = s_rev_level == 0;
        let s_feature_incompat = le32(raw, FEATURE_INCOMPAT_OFFSET);
        let wide = s_feature_incompat & incompat::BITS64 != 0;
        let high = |offset| if wide { le32(raw, offset) } else { 0 };
        let superblock = Self {
            s_inodes_count: le32(raw, 0x0),
            s_blocks_count: joined(high(0x150), le32(raw, 0x4)),
            s_r_blocks_count: joined(high(0x154), le32(raw, 0x8)),
            s_free_blocks_count: joined(high(0x158), le32(raw, 0xc)),
            s_free_inodes_count: le32(raw, 0x10),
            s_first_data_block: le32(raw, 0x14),
            s_log_block_size: le32(raw, 0x18),
            s_log_cluster_size: le32(raw, 0x1c),
            s_blocks_per_group: le32(raw, 0x20),
            s_clusters_per_group: le32(raw, 0x24),
            s_inodes_per_group: le32(raw, 0x28),
            s_wtime: le32(raw, 0x30),
            s_state: le16(raw, 0x3a),
            s_rev_level,
            s_first_ino: if old_revision { GOOD_OLD_FIRST_INO } else { le32(raw, 0x54) },
            s_inode_size: if old_revision { 128 } else { le16(raw, 0x58) },
            s_block_group_nr: le16(raw, 0x5a),
            s_feature_compat: le32(raw, 0x5c),
            s_feature_incompat,
            s_feature_ro_compat: le32(raw, 0x64),
            s_uuid: array(raw, 0x68),
            s_volume_name: text(&array::<16>(raw, 0x78)),
            s_last_mounted: text(&array::<64>(raw, 0x88)),
            s_reserved_gdt_blocks: le16(raw, 0xce),
            s_journal_uuid: array(raw, 0xd0),
            s_journal_inum: le32(raw, 0xe0),
            s_journal_dev: le32(raw, 0xe4),
            s_last_orphan: le32(raw, 0xe8),
            s_desc_size: if wide { le16(raw, 0xfe) } else { 32 },
            s_first_meta_bg: le32(raw, 0x104),
            s_mmp_block: le64(raw, 0x168),
            s_log_groups_per_flex: byte(raw, 0x174),
            s_checksum_type: byte(raw, 0x175),
            s_backup_bgs: [le32(raw, 0x24c), le32(raw, 0x250)],
            s_checksum_seed: le32(raw, 0x270),
            s_orphan_file_inum: le32(raw, 0x280),
            s_checksum: le32(raw, CHECKSUM_OFFSET),
            raw: *raw,
        };
        match superblock.geometry_fault() {
            Some(detail) => Err(Fault::damage("superblock-geometry", place, detail)),
            None => Ok(superblock),
        }
    }

    /// The bytes as they were read.
    #[must_use]
    pub fn raw(&self) -> &[u8; SIZE_BYTES] {
        &self.raw
    }

    /// What all other metadata checksums begin with.
    #[must_use]
    pub fn checksum_seed(&self) -> u32 {
        if self.has_incompat(incompat::CSUM_SEED) { self.s_checksum_seed } else { crc32c_le(!0, &self.s_uuid) }
    }

    /// The checksum that the superblock should carry; `None` without `metadata_csum`.
    #[must_use]
    pub fn computed_checksum(&self) -> Option<u32> {
        self.has_metadata_csum().then(|| checksum_of(&self.raw))
    }
}

/// The checksum of a superblock's bytes.
pub(super) fn checksum_of(raw: &[u8; SIZE_BYTES]) -> u32 {
    // s_checksum is the last field and not part of what it covers.
    crc32c_le(!0, raw.get(..CHECKSUM_OFFSET).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn valid() -> [u8; SIZE_BYTES] {
        let mut raw = [0; SIZE_BYTES];
        for (offset, value) in [(0x0, 32_u32), (0x4, 1024), (0x14, 1), (0x20, 8192), (0x24, 8192), (0x28, 32)] {
            raw[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        }
        raw[0x38..0x3a].copy_from_slice(&MAGIC.to_le_bytes());
        raw
    }

    fn code(raw: &[u8; SIZE_BYTES]) -> Cow<'static, str> {
        match Superblock::parse(raw, "here") {
            Ok(_) => "ok".into(),
            Err(Fault::Bad(finding)) => finding.code,
            Err(Fault::Io(_)) => "io".into(),
        }
    }

    #[test]
    fn a_first_revision_superblock_has_the_sizes_of_its_day() {
        let superblock = Superblock::parse(&valid(), "here").unwrap();
        assert_eq!((superblock.s_inode_size, superblock.s_first_ino, superblock.s_desc_size), (128, 11, 32));
        assert_eq!((superblock.groups_count(), superblock.group_blocks(0)), (1, 1023));
    }

    #[test]
    fn a_number_that_would_lead_astray_is_refused() {
        assert_eq!(code(&valid()), "ok");
        for (offset, byte) in [
            (0x18, 7),
            (0x20, 0),
            (0x21, 0),
            (0x28, 0),
            (0x0, 31),
            (0x15, 0xff),
            (0x7, 0xff),
            (0x2a, 1),
            // What the kernel or e2fsck refuses, while nothing else of it is odd.
            (0x14, 0),
            (0x1c, 1),
            (0x24, 1),
            (0x4d, 1),
            (0xcf, 0xff),
        ] {
            let mut raw = valid();
            raw[offset] = byte;
            if offset == 0x20 || offset == 0x21 {
                raw[0x20..0x24].fill(0);
            }
            assert_eq!(code(&raw), "superblock-geometry", "byte {offset:#x} = {byte}");
        }
        let mut raw = valid();
        raw[0x61] = 2;
        raw[0x174] = 32;
        assert_eq!(code(&raw), "superblock-geometry", "flex_bg of 2^32 groups");
        let mut raw = valid();
        raw[0x38] = 0;
        assert_eq!(code(&raw), "superblock-magic");
    }
}
