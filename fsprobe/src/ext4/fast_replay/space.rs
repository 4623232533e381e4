//! Bitmaps and group descriptors, as they are changed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::writes::Writes;
use crate::ext4::fault::Fault;
use crate::ext4::{Bitmap, Filesystem, GroupDescriptor};

/// What the bitmaps of all of them may take.
const MAX_BYTES: u64 = 64 << 20;

/// The groups that something changes in. Without `bigalloc`: a bit stands for a block.
pub(super) struct Space<'f, 'd> {
    filesystem: &'f Filesystem<'d>,
    groups: BTreeMap<u32, Group>,
    /// No group before it has a free block.
    first_free_group: u32,
}

struct Group {
    descriptor: GroupDescriptor,
    blocks: Bitmap,
    inodes: Bitmap,
}

impl<'f, 'd> Space<'f, 'd> {
    pub(super) fn new(filesystem: &'f Filesystem<'d>) -> Self {
        Self { filesystem, groups: BTreeMap::new(), first_free_group: 0 }
    }

    /// Marks blocks that exist as in use, or free.
    pub(super) fn set_blocks(&mut self, first: u64, length_blocks: u64, is_used: bool) -> Result<(), Fault> {
        let superblock = &self.filesystem.superblock;
        let (first_data, per_group) =
            (u64::from(superblock.s_first_data_block), u64::from(superblock.s_blocks_per_group));
        let (mut start, end) = (first.saturating_sub(first_data), (first + length_blocks).saturating_sub(first_data));
        while start < end {
            let next = end.min((start / per_group + 1) * per_group);
            let group = self.group((start / per_group) as u32)?;
            group.blocks.put((start % per_group) as u32, ((next - 1) % per_group + 1) as u32, is_used);
            start = next;
        }
        Ok(())
    }

    /// Takes a free block.
    pub(super) fn allocate(&mut self) -> Result<u64, Fault> {
        while self.first_free_group < self.filesystem.superblock.groups_count() {
            let number = self.first_free_group;
            let is_full =
                !self.groups.contains_key(&number) && self.filesystem.group(number)?.bg_free_blocks_count == 0;
            if let Some(index) = if is_full { None } else { self.group(number)?.blocks.first_clear() } {
                self.group(number)?.blocks.put(index, index + 1, true);
                return Ok(self.filesystem.superblock.group_first_block(number) + u64::from(index));
            }
            self.first_free_group += 1;
        }
        let detail = "there is no free block for what fast commits need";
        Err(Fault::damage("fast-commit-no-space", "journal", detail))
    }

    /// Whether an inode that exists is in use.
    pub(super) fn is_inode_used(&mut self, number: u32) -> Result<bool, Fault> {
        let Some((group, index)) = self.filesystem.inode_place(number) else { return Ok(false) };
        Ok(self.group(group)?.inodes.is_set(index))
    }

    /// Marks an inode as in use, or free; `directories` is by how much the number of directories changes.
    pub(super) fn set_inode(&mut self, number: u32, is_used: bool, directories: i32) -> Result<(), Fault> {
        let Some((group, index)) = self.filesystem.inode_place(number) else { return Ok(()) };
        let group = self.group(group)?;
        group.inodes.put(index, index + 1, is_used);
        let used_dirs = &mut group.descriptor.bg_used_dirs_count;
        *used_dirs = used_dirs.saturating_add_signed(directories);
        Ok(())
    }

    fn group(&mut self, number: u32) -> Result<&mut Group, Fault> {
        if self.groups.len() as u64 * 2 * self.filesystem.superblock.block_size_bytes() > MAX_BYTES {
            let detail = "they change more groups than are followed";
            return Err(Fault::unknown("fast-commit-too-large", "journal", detail));
        }
        match self.groups.entry(number) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let descriptor = self.filesystem.group(number)?;
                let blocks = self.filesystem.block_bitmap(&descriptor)?;
                let inodes = self.filesystem.inode_bitmap(&descriptor)?;
                Ok(entry.insert(Group { descriptor, blocks, inodes }))
            }
        }
    }

    /// Writes the bitmaps and descriptors that are different now.
    pub(super) fn write(self, writes: &mut Writes<'_, '_>) -> Result<(), Fault> {
        let superblock = &self.filesystem.superblock;
        let block_size = superblock.block_size_bytes() as usize;
        for (number, mut group) in self.groups {
            let on_disk = self.filesystem.group(number)?;
            let is_same = group.descriptor == on_disk
                && group.blocks == self.filesystem.block_bitmap(&on_disk)?
                && group.inodes == self.filesystem.inode_bitmap(&on_disk)?;
            if is_same {
                continue;
            }
            let (blocks, inodes) = (group.blocks.to_block(block_size), group.inodes.to_block(block_size));
            let descriptor = &mut group.descriptor;
            descriptor.bg_free_blocks_count = group.blocks.length() - group.blocks.count_set();
            descriptor.bg_free_inodes_count = group.inodes.length() - group.inodes.count_set();
            if superblock.has_group_checksums() {
                let last_used = group.inodes.runs().last().map_or(0, |run| run.end);
                let never_used = group.inodes.length() - last_used;
                let unused =
                    if on_disk.is_inode_table_uninit() { group.inodes.length() } else { on_disk.bg_itable_unused };
                descriptor.bg_itable_unused = unused.min(never_used);
                descriptor.set_initialised();
            }
            let checksum = |block: &[u8], bits| self.filesystem.bitmap_checksum(block, bits).unwrap_or(0);
            descriptor.bg_block_bitmap_csum = checksum(&blocks, superblock.clusters_per_group());
            descriptor.bg_inode_bitmap_csum = checksum(&inodes, superblock.s_inodes_per_group);
            writes.write(descriptor.bg_block_bitmap, blocks)?;
            writes.write(descriptor.bg_inode_bitmap, inodes)?;
            let (offset_bytes, raw) = self.filesystem.updated_group(descriptor)?;
            writes.patch(offset_bytes, &raw)?;
        }
        Ok(())
    }
}
