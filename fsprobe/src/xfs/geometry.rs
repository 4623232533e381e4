//! Where inodes and blocks are: their numbers are a group's number above the bits of a place within it.

use super::superblock::Superblock;
use crate::FileError;
use crate::read_at::read;
use crate::{ReadAt, xfs::has_superblock};

/// The fields of the superblock that place inodes and blocks, which agree with each other.
#[derive(Debug)]
pub(super) struct Geometry {
    pub superblock: Superblock,
}

impl Geometry {
    /// Reads it.
    pub fn of(volume: &dyn ReadAt) -> Result<Self, FileError> {
        let length = usize::try_from(volume.size_bytes().min(32 << 10)).unwrap_or(0);
        let head = read(volume, 0, length, "XFS superblock")?;
        let bad = |why: String| FileError::bad(format!("superblock at byte 0: {why}"));
        if !has_superblock(&head) {
            return Err(bad("there is none of XFS".into()));
        }
        let superblock = Superblock::parse(&head).map_err(bad)?;
        if superblock.unknown_incompat() != 0 {
            let bits = superblock.unknown_incompat();
            return Err(bad(format!("it has incompatible features that are not known here (bits {bits:#x})")));
        }
        if superblock.is_unfinished() {
            return Err(bad("it is marked as unfinished, or in need of xfs_repair".into()));
        }
        let geometry = Self { superblock };
        if geometry.is_sound() { Ok(geometry) } else { Err(bad("its sizes contradict each other".into())) }
    }

    fn is_sound(&self) -> bool {
        let superblock = &self.superblock;
        let group_blocks = u64::from(superblock.sb_agblocks);
        superblock.sb_blocksize == 1_u32.checked_shl(superblock.sb_blocklog.into()).unwrap_or(0)
            && (8..=11).contains(&superblock.sb_inodelog)
            && superblock.sb_inodesize == 1 << superblock.sb_inodelog
            && superblock.sb_inodelog.checked_add(superblock.sb_inopblog) == Some(superblock.sb_blocklog)
            && superblock.sb_agblklog < 32
            && (1..=1 << superblock.sb_agblklog).contains(&group_blocks)
            && superblock.sb_dblocks <= u64::from(superblock.sb_agcount) * group_blocks
            && superblock.sb_dblocks <= i64::MAX as u64 >> superblock.sb_blocklog
    }

    /// `sb_blocksize`.
    pub fn block_size_bytes(&self) -> u64 {
        self.superblock.sb_blocksize.into()
    }

    /// The byte at which `count` consecutive blocks begin, the first of which has the filesystem block number `block`
    /// (`xfs_fsblock_t`). `None` where they are not in one group of the filesystem.
    pub fn blocks_offset_bytes(&self, block: u64, count: u64) -> Option<u64> {
        let superblock = &self.superblock;
        let (group, within) = (block >> superblock.sb_agblklog, block & ((1 << superblock.sb_agblklog) - 1));
        let group_blocks = u64::from(superblock.sb_agblocks);
        if group >= superblock.sb_agcount.into() || within.checked_add(count)? > group_blocks {
            return None;
        }
        let first = group.checked_mul(group_blocks)?.checked_add(within)?;
        (first.checked_add(count)? <= superblock.sb_dblocks).then_some(first << superblock.sb_blocklog)
    }

    /// The filesystem block number of a block of a group.
    pub fn block_number(&self, group: u32, within: u32) -> u64 {
        u64::from(group) << self.superblock.sb_agblklog | u64::from(within)
    }

    /// Where a group begins; `None` where there is no such group.
    pub fn group_offset_bytes(&self, group: u32) -> Option<u64> {
        self.blocks_offset_bytes(self.block_number(group, 0), 1)
    }

    /// The group of the inode `number`, its number there, and the byte at which it is; `None` where the filesystem has no room
    /// for one with that number.
    pub fn inode_place(&self, number: u64) -> Option<(u32, u32, u64)> {
        let superblock = &self.superblock;
        let block = self.blocks_offset_bytes(number >> superblock.sb_inopblog, 1)?;
        let index = number & ((1 << superblock.sb_inopblog) - 1);
        let within_bits = superblock.sb_agblklog + superblock.sb_inopblog;
        let group = u32::try_from(number >> within_bits).ok()?;
        let within = u32::try_from(number & ((1 << within_bits) - 1)).ok()?;
        (number != 0).then_some((group, within, block + (index << superblock.sb_inodelog)))
    }
}
