//! Which blocks of a group hold the filesystem's own structures.
//!
//! <https://docs.kernel.org/filesystems/ext4/blockgroup.html>

use super::features::{compat, incompat, ro_compat};
use super::superblock::{PRIMARY_OFFSET_BYTES, Superblock};

/// Whether `group` has a copy of the superblock.
pub(super) fn has_super(superblock: &Superblock, group: u32) -> bool {
    if group == 0 {
        return true;
    }
    if superblock.has_compat(compat::SPARSE_SUPER2) {
        return superblock.s_backup_bgs.contains(&group);
    }
    group == 1
        || !superblock.has_ro_compat(ro_compat::SPARSE_SUPER)
        || [3, 5, 7].into_iter().any(|base| is_power_of(group, base))
}

fn is_power_of(mut number: u32, base: u32) -> bool {
    while number > 1 && number.is_multiple_of(base) {
        number /= base;
    }
    number == 1
}

impl Superblock {
    /// The block that holds the primary superblock: 1 with 1 KiB blocks, else 0.
    #[must_use]
    pub fn primary_block(&self) -> u64 {
        PRIMARY_OFFSET_BYTES / self.block_size_bytes()
    }

    /// Group descriptors in one block.
    #[must_use]
    pub fn descriptors_per_block(&self) -> u32 {
        // Sizes were validated: 1024..=65536 by 32..=1024.
        u32::try_from(self.block_size_bytes()).unwrap_or(1024) / u32::from(self.s_desc_size)
    }

    /// Blocks of the whole group descriptor table.
    #[must_use]
    pub fn descriptor_blocks(&self) -> u32 {
        self.groups_count().div_ceil(self.descriptors_per_block())
    }

    /// Blocks at the start of `group` that hold the superblock, group descriptors and room for more of them.
    #[must_use]
    pub fn base_metadata_blocks(&self, group: u32) -> u64 {
        let superblock = u64::from(has_super(self, group));
        let per_block = self.descriptors_per_block();
        let meta_group = group / per_block;
        if self.has_incompat(incompat::META_BG) && meta_group >= self.s_first_meta_bg {
            let index = group % per_block;
            let holds_descriptors = index == 0 || index == 1 || index == per_block - 1;
            return superblock + u64::from(holds_descriptors);
        }
        if superblock == 0 {
            return 0;
        }
        let table = if self.has_incompat(incompat::META_BG) { self.s_first_meta_bg } else { self.descriptor_blocks() };
        superblock + u64::from(table) + u64::from(self.s_reserved_gdt_blocks)
    }

    /// The groups with a backup superblock, in order.
    pub fn backup_groups(&self) -> impl Iterator<Item = u32> + '_ {
        let sparse = self.has_compat(compat::SPARSE_SUPER2) || self.has_ro_compat(ro_compat::SPARSE_SUPER);
        let mut powers: Vec<u32> = if self.has_compat(compat::SPARSE_SUPER2) {
            self.s_backup_bgs.to_vec()
        } else {
            [3_u32, 5, 7].into_iter().flat_map(|base| (0..21).map_while(move |power| base.checked_pow(power))).collect()
        };
        powers.sort_unstable();
        powers.dedup();
        let every = if sparse { 0..0 } else { 1..self.groups_count() };
        let sparse = if sparse { powers } else { Vec::new() };
        sparse.into_iter().chain(every).filter(|&group| group > 0 && group < self.groups_count())
    }
}

#[cfg(test)]
mod tests {
    use super::is_power_of;

    #[test]
    fn backups_are_in_group_one_and_the_powers_of_3_5_and_7() {
        let groups: Vec<u32> =
            (0..130).filter(|&group| [3, 5, 7].into_iter().any(|base| is_power_of(group, base))).collect();
        assert_eq!(groups, [1, 3, 5, 7, 9, 25, 27, 49, 81, 125]);
    }
}
