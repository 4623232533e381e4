//! Group descriptors: where a group's bitmaps and inode table are.
//!
//! <https://docs.kernel.org/filesystems/ext4/group_descr.html>; 32 or 64 bytes (or more), little-endian.

use super::checksum::{crc16, crc32c_le, crc32c_without};
use super::fault::Fault;
use super::features::incompat;
use super::fields::{joined, le16, le32, put};
use super::filesystem::{Filesystem, read_volume};
use super::layout::has_super;

const CHECKSUM_OFFSET: usize = 0x1e;
/// `bg_flags`: the inode bitmap and table were never written.
const INODE_UNINIT: u16 = 1;
/// `bg_flags`: the block bitmap was never written.
const BLOCK_UNINIT: u16 = 2;

/// A group descriptor. Fields keep the kernel's names, both halves of a number joined.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are those of the page linked above.
pub struct GroupDescriptor {
    pub group: u32,
    pub bg_block_bitmap: u64,
    pub bg_inode_bitmap: u64,
    pub bg_inode_table: u64,
    pub bg_free_blocks_count: u32,
    pub bg_free_inodes_count: u32,
    pub bg_used_dirs_count: u32,
    pub bg_flags: u16,
    pub bg_block_bitmap_csum: u32,
    pub bg_inode_bitmap_csum: u32,
    pub bg_itable_unused: u32,
    pub bg_checksum: u16,
}

impl GroupDescriptor {
    fn parse(group: u32, raw: &[u8]) -> Self {
        let joined16 = |high, low| u32::from(le16(raw, high)) << 16 | u32::from(le16(raw, low));
        Self {
            group,
            bg_block_bitmap: joined(le32(raw, 0x20), le32(raw, 0x0)),
            bg_inode_bitmap: joined(le32(raw, 0x24), le32(raw, 0x4)),
            bg_inode_table: joined(le32(raw, 0x28), le32(raw, 0x8)),
            bg_free_blocks_count: joined16(0x2c, 0xc),
            bg_free_inodes_count: joined16(0x2e, 0xe),
            bg_used_dirs_count: joined16(0x30, 0x10),
            bg_flags: le16(raw, 0x12),
            bg_block_bitmap_csum: joined16(0x38, 0x18),
            bg_inode_bitmap_csum: joined16(0x3a, 0x1a),
            bg_itable_unused: joined16(0x32, 0x1c),
            bg_checksum: le16(raw, CHECKSUM_OFFSET),
        }
    }

    /// Writes the fields that change with use into `raw`, a descriptor's bytes, but for its checksum.
    fn update(&self, raw: &mut [u8]) {
        let mut put16 = |high: usize, low: usize, value: u32| {
            put(raw, low, &(value as u16).to_le_bytes());
            // A short descriptor ends before.
            put(raw, high, &((value >> 16) as u16).to_le_bytes());
        };
        put16(0x2c, 0xc, self.bg_free_blocks_count);
        put16(0x2e, 0xe, self.bg_free_inodes_count);
        put16(0x30, 0x10, self.bg_used_dirs_count);
        put16(0x38, 0x18, self.bg_block_bitmap_csum);
        put16(0x3a, 0x1a, self.bg_inode_bitmap_csum);
        put16(0x32, 0x1c, self.bg_itable_unused);
        put(raw, 0x12, &self.bg_flags.to_le_bytes());
    }

    /// From now on both bitmaps are as written.
    pub(super) fn set_initialised(&mut self) {
        self.bg_flags &= !(INODE_UNINIT | BLOCK_UNINIT);
    }

    /// The block bitmap was never written: what it would hold follows from the layout.
    #[must_use]
    pub fn is_block_bitmap_uninit(&self) -> bool {
        self.bg_flags & BLOCK_UNINIT != 0
    }

    /// No inode of the group was ever used.
    #[must_use]
    pub fn is_inode_table_uninit(&self) -> bool {
        self.bg_flags & INODE_UNINIT != 0
    }
}

impl Filesystem<'_> {
    /// Blocks of a group's inode table.
    #[must_use]
    pub fn inode_table_blocks(&self) -> u64 {
        let superblock = &self.superblock;
        (u64::from(superblock.s_inodes_per_group) * u64::from(superblock.s_inode_size))
            .div_ceil(superblock.block_size_bytes())
    }

    /// The descriptor of `group`, its checksum and ranges verified.
    ///
    /// # Errors
    /// `group-checksum`, `group-range`, or that of reading.
    pub fn group(&self, group: u32) -> Result<GroupDescriptor, Fault> {
        let superblock = &self.superblock;
        let place = format_args!("group {group} descriptor");
        if group >= superblock.groups_count() {
            return Err(Fault::damage("group-range", place, format!("there are {} groups", superblock.groups_count())));
        }
        let mut buffer = [0; 1024];
        let raw = buffer.get_mut(..usize::from(superblock.s_desc_size)).unwrap_or_default();
        read_volume(self.volume, raw, self.group_descriptor_offset_bytes(group), place)?;
        self.parse_group(group, raw)
    }

    /// Where the descriptor of `group` is, and its bytes with the fields of `descriptor` that change with use.
    ///
    /// # Errors
    /// That of reading.
    pub(super) fn updated_group(&self, descriptor: &GroupDescriptor) -> Result<(u64, Vec<u8>), Fault> {
        let group = descriptor.group;
        let mut raw = vec![0; usize::from(self.superblock.s_desc_size)];
        let offset_bytes = self.group_descriptor_offset_bytes(group);
        read_volume(self.volume, &mut raw, offset_bytes, format_args!("group {group} descriptor"))?;
        descriptor.update(&mut raw);
        if let Some(bg_checksum) = self.group_checksum(group, &raw) {
            put(&mut raw, CHECKSUM_OFFSET, &bg_checksum.to_le_bytes());
        }
        Ok((offset_bytes, raw))
    }

    /// All descriptors, in order, as far as their groups begin inside the volume: a block of them is read at a time.
    pub fn groups(&self) -> impl Iterator<Item = (u32, Result<GroupDescriptor, Fault>)> + '_ {
        let size = usize::from(self.superblock.s_desc_size);
        let per_block = self.superblock.descriptors_per_block();
        let mut table_block: Option<Vec<u8>> = None;
        (0..self.groups_in_volume()).map(move |group| {
            let index = group % per_block;
            if index == 0 {
                let block = self.group_descriptor_offset_bytes(group) / self.superblock.block_size_bytes();
                table_block = self.read_block(block, "group descriptors").ok();
            }
            let raw = table_block.as_ref().and_then(|block| block.get(index as usize * size..)?.get(..size));
            // Where the block could not be read, reading one descriptor says why.
            (group, raw.map_or_else(|| self.group(group), |raw| self.parse_group(group, raw)))
        })
    }

    /// Groups that begin inside the volume: all of them, unless it is truncated.
    fn groups_in_volume(&self) -> u32 {
        let group_bytes = u64::from(self.superblock.s_blocks_per_group) * self.superblock.block_size_bytes();
        let groups = self.volume.size_bytes().div_ceil(group_bytes);
        self.superblock.groups_count().min(u32::try_from(groups).unwrap_or(u32::MAX))
    }

    /// A descriptor from its bytes, which are `s_desc_size` long.
    fn parse_group(&self, group: u32, raw: &[u8]) -> Result<GroupDescriptor, Fault> {
        let superblock = &self.superblock;
        let place = format_args!("group {group} descriptor");
        let descriptor = GroupDescriptor::parse(group, raw);
        if let Some(computed) = self.group_checksum(group, raw)
            && computed != descriptor.bg_checksum
        {
            let detail = format!("bg_checksum is {:#06x}, computed {computed:#06x}", descriptor.bg_checksum);
            return Err(Fault::damage("group-checksum", place, detail));
        }
        for (name, block, length) in [
            ("bg_block_bitmap", descriptor.bg_block_bitmap, 1),
            ("bg_inode_bitmap", descriptor.bg_inode_bitmap, 1),
            ("bg_inode_table", descriptor.bg_inode_table, self.inode_table_blocks()),
        ] {
            if !self.contains(block, length) || block == 0 {
                let detail = format!("{name} is block {block} + {length}, of {}", superblock.s_blocks_count);
                return Err(Fault::damage("group-range", place, detail));
            }
        }
        Ok(descriptor)
    }

    /// Where the primary descriptor of `group` is.
    fn group_descriptor_offset_bytes(&self, group: u32) -> u64 {
        let superblock = &self.superblock;
        let block_size = superblock.block_size_bytes();
        let per_block = superblock.descriptors_per_block();
        let (table_block, index) = (group / per_block, group % per_block);
        let block = if superblock.has_incompat(incompat::META_BG) && table_block >= superblock.s_first_meta_bg {
            // The first group of a meta group holds the descriptors of all of it, after its superblock if it has one.
            let home = table_block.saturating_mul(per_block);
            let beside_boot_block = home == 0 && block_size == 1024 && superblock.s_first_data_block == 0;
            superblock.group_first_block(home) + u64::from(has_super(superblock, home)) + u64::from(beside_boot_block)
        } else {
            superblock.primary_block() + 1 + u64::from(table_block)
        };
        block * block_size + u64::from(index) * u64::from(superblock.s_desc_size)
    }

    fn group_checksum(&self, group: u32, raw: &[u8]) -> Option<u16> {
        let superblock = &self.superblock;
        if superblock.has_metadata_csum() {
            let seed = crc32c_le(superblock.checksum_seed(), &group.to_le_bytes());
            // The low half is what there is room for.
            Some((crc32c_without(seed, raw, CHECKSUM_OFFSET, 2) & 0xffff) as u16)
        } else if superblock.has_group_checksums() {
            let (before, after) = (raw.get(..CHECKSUM_OFFSET)?, raw.get(CHECKSUM_OFFSET + 2..)?);
            Some(crc16(&[&superblock.s_uuid, &group.to_le_bytes(), before, after]))
        } else {
            None
        }
    }
}
