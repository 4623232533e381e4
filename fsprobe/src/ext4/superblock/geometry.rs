//! Blocks, clusters and groups: whether the numbers fit together, and what follows from them.

use super::{GOOD_OLD_FIRST_INO, Superblock};
use crate::ext4::features::incompat;

/// `s_checksum_type`.
const CHECKSUM_CRC32C: u8 = 1;
/// Fewer blocks a group are made by no mke2fs; the bound keeps the number of groups in proportion to the disk.
const MIN_BLOCKS_PER_GROUP: u32 = 256;

impl Superblock {
    /// What the kernel would refuse to mount, too.
    pub(super) fn geometry_fault(&self) -> Option<String> {
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

    fn groups_count_wide(&self) -> u64 {
        (self.s_blocks_count - u64::from(self.s_first_data_block)).div_ceil(u64::from(self.s_blocks_per_group))
    }
}
