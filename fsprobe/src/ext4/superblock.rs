//! The superblock.
//!
//! <https://docs.kernel.org/filesystems/ext4/super.html>; 1024 bytes, little-endian.

use super::checksum::crc32c_le;
use super::fault::Fault;
use super::features::{compat, incompat, ro_compat};
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
/// `s_state`: cleanly unmounted, or journalled.
const STATE_VALID: u16 = 1;
/// `s_state`: the kernel saw an inconsistency.
const STATE_ERROR: u16 = 2;
/// `s_first_ino` of the first revision, and the least one of any.
const GOOD_OLD_FIRST_INO: u32 = 11;
/// `s_checksum_type`.
const CHECKSUM_CRC32C: u8 = 1;
/// Fewer blocks a group are made by no mke2fs; the bound keeps the number of groups in proportion to the disk.
const MIN_BLOCKS_PER_GROUP: u32 = 256;

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

    /// What the kernel would refuse to mount, too.
    fn geometry_fault(&self) -> Option<String> {
        if self.s_rev_level > 1 {
            return Some(format!("s_rev_level is {}: 1 is the highest there is", self.s_rev_level));
        }
        if self.s_log_block_size > 6 {
            return Some(format!("s_log_block_size is {}: 6 (64 KiB) is the largest", self.s_log_block_size));
        }
        let block_size = self.block_size_bytes();
        if self.has_bigalloc() {
            if self.s_log_cluster_size < self.s_log_block_size || self.s_log_cluster_size > 20 {
                return Some(format!("s_log_cluster_size is {}", self.s_log_cluster_size));
            }
            if u64::from(self.s_clusters_per_group) * self.blocks_per_cluster() != u64::from(self.s_blocks_per_group) {
                return Some(format!(
                    "s_clusters_per_group {} and s_blocks_per_group {} disagree",
                    self.s_clusters_per_group, self.s_blocks_per_group
                ));
            }
        } else if self.s_log_cluster_size != self.s_log_block_size
            || self.s_clusters_per_group != self.s_blocks_per_group
        {
            return Some(format!(
                "without bigalloc, s_log_cluster_size {} and s_log_block_size {} or s_clusters_per_group {} and \
                 s_blocks_per_group {} disagree",
                self.s_log_cluster_size, self.s_log_block_size, self.s_clusters_per_group, self.s_blocks_per_group
            ));
        }
        let bits = block_size * 8;
        if self.s_blocks_per_group < MIN_BLOCKS_PER_GROUP || u64::from(self.clusters_per_group()) > bits {
            return Some(format!("s_blocks_per_group is {}", self.s_blocks_per_group));
        }
        if !self.s_inode_size.is_power_of_two() || self.s_inode_size < 128 || u64::from(self.s_inode_size) > block_size
        {
            return Some(format!("s_inode_size is {}", self.s_inode_size));
        }
        if self.s_inodes_per_group == 0 || u64::from(self.s_inodes_per_group) > bits {
            return Some(format!("s_inodes_per_group is {}", self.s_inodes_per_group));
        }
        if self.s_feature_incompat & incompat::BITS64 != 0
            && (!self.s_desc_size.is_power_of_two() || !(64..=1024).contains(&self.s_desc_size))
        {
            return Some(format!("s_desc_size is {}", self.s_desc_size));
        }
        if u64::from(self.s_reserved_gdt_blocks) > block_size / 4 {
            return Some(format!("s_reserved_gdt_blocks is {}", self.s_reserved_gdt_blocks));
        }
        if self.s_first_ino < GOOD_OLD_FIRST_INO || self.s_first_ino > self.s_inodes_count {
            return Some(format!("s_first_ino is {}", self.s_first_ino));
        }
        if self.has_metadata_csum() && self.s_checksum_type != CHECKSUM_CRC32C {
            return Some(format!("s_checksum_type is {}: 1 (CRC-32C) is the only one", self.s_checksum_type));
        }
        // The boot block has a cluster of its own only where clusters are as small.
        let s_first_data_block = u32::from(self.s_log_cluster_size == 0);
        if self.s_first_data_block != s_first_data_block {
            return Some(format!(
                "s_first_data_block is {}, not {s_first_data_block} as the block size asks for",
                self.s_first_data_block
            ));
        }
        if u64::from(self.s_first_data_block) >= self.s_blocks_count {
            return Some(format!(
                "s_first_data_block {} is not below s_blocks_count {}",
                self.s_first_data_block, self.s_blocks_count
            ));
        }
        if self.has_incompat(incompat::FLEX_BG) && self.s_log_groups_per_flex > 31 {
            return Some(format!("s_log_groups_per_flex is {}", self.s_log_groups_per_flex));
        }
        if self.s_blocks_count.checked_mul(block_size).is_none() || u32::try_from(self.groups_count_wide()).is_err() {
            return Some(format!("s_blocks_count is {}", self.s_blocks_count));
        }
        let inodes = self.groups_count_wide().saturating_mul(u64::from(self.s_inodes_per_group));
        if inodes != u64::from(self.s_inodes_count) {
            return Some(format!("s_inodes_count is {}, the groups have {inodes}", self.s_inodes_count));
        }
        None
    }

    fn groups_count_wide(&self) -> u64 {
        (self.s_blocks_count - u64::from(self.s_first_data_block)).div_ceil(u64::from(self.s_blocks_per_group))
    }

    /// The bytes as they were read.
    #[must_use]
    pub fn raw(&self) -> &[u8; SIZE_BYTES] {
        &self.raw
    }

    /// Bytes of a block: 1024 to 65536.
    #[must_use]
    pub fn block_size_bytes(&self) -> u64 {
        1024 << self.s_log_block_size
    }

    /// Blocks that one bit of a block bitmap stands for: 1 without `bigalloc`.
    #[must_use]
    pub fn blocks_per_cluster(&self) -> u64 {
        if self.has_bigalloc() { 1 << (self.s_log_cluster_size - self.s_log_block_size) } else { 1 }
    }

    /// Bits of a group's block bitmap.
    #[must_use]
    pub fn clusters_per_group(&self) -> u32 {
        if self.has_bigalloc() { self.s_clusters_per_group } else { self.s_blocks_per_group }
    }

    /// Block groups, the last one perhaps cut short.
    #[must_use]
    pub fn groups_count(&self) -> u32 {
        u32::try_from(self.groups_count_wide()).unwrap_or(u32::MAX)
    }

    /// The first block of `group`.
    #[must_use]
    pub fn group_first_block(&self, group: u32) -> u64 {
        u64::from(self.s_first_data_block) + u64::from(group) * u64::from(self.s_blocks_per_group)
    }

    /// Blocks that `group` has: fewer in the last one.
    #[must_use]
    pub fn group_blocks(&self, group: u32) -> u64 {
        self.s_blocks_count.saturating_sub(self.group_first_block(group)).min(self.s_blocks_per_group.into())
    }

    /// Length of the filesystem.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.s_blocks_count * self.block_size_bytes()
    }

    /// Whether all bits of `flags` are set in `s_feature_compat`.
    #[must_use]
    pub fn has_compat(&self, flags: u32) -> bool {
        self.s_feature_compat & flags == flags
    }

    /// Whether all bits of `flags` are set in `s_feature_incompat`.
    #[must_use]
    pub fn has_incompat(&self, flags: u32) -> bool {
        self.s_feature_incompat & flags == flags
    }

    /// Whether all bits of `flags` are set in `s_feature_ro_compat`.
    #[must_use]
    pub fn has_ro_compat(&self, flags: u32) -> bool {
        self.s_feature_ro_compat & flags == flags
    }

    fn has_bigalloc(&self) -> bool {
        self.has_ro_compat(ro_compat::BIGALLOC)
    }

    /// Whether every metadata structure carries a CRC-32C.
    #[must_use]
    pub fn has_metadata_csum(&self) -> bool {
        self.has_ro_compat(ro_compat::METADATA_CSUM)
    }

    /// Whether group descriptors carry a checksum, and so may say that a bitmap or inode table is not initialised.
    #[must_use]
    pub fn has_group_checksums(&self) -> bool {
        self.has_metadata_csum() || self.has_ro_compat(ro_compat::GDT_CSUM)
    }

    /// Whether there is a journal, in an inode or on another device.
    #[must_use]
    pub fn has_journal(&self) -> bool {
        self.has_compat(compat::HAS_JOURNAL)
    }

    /// Whether the journal has to be replayed before anything else is believed.
    #[must_use]
    pub fn needs_recovery(&self) -> bool {
        self.has_incompat(incompat::RECOVER)
    }

    /// It is a copy: its state, orphans and `INCOMPAT_RECOVER` say nothing, for only the primary one is kept current.
    #[must_use]
    pub fn is_backup(&self) -> bool {
        self.s_block_group_nr != 0
    }

    /// `s_state` has the bit of a clean unmount (which a journalled filesystem keeps while it is mounted).
    #[must_use]
    pub fn is_state_valid(&self) -> bool {
        self.s_state & STATE_VALID != 0
    }

    /// `s_state` says that the kernel met an inconsistency.
    #[must_use]
    pub fn is_state_error(&self) -> bool {
        self.s_state & STATE_ERROR != 0
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
    use super::*;

    fn valid() -> [u8; SIZE_BYTES] {
        let mut raw = [0; SIZE_BYTES];
        for (offset, value) in [(0x0, 32_u32), (0x4, 1024), (0x14, 1), (0x20, 8192), (0x24, 8192), (0x28, 32)] {
            raw[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        }
        raw[0x38..0x3a].copy_from_slice(&MAGIC.to_le_bytes());
        raw
    }

    fn code(raw: &[u8; SIZE_BYTES]) -> &'static str {
        match Superblock::parse(raw, "here") {
            Ok(_) => "ok",
            Err(Fault::Bad(finding)) => finding.code,
            Err(Fault::Io(_)) => "io",
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
