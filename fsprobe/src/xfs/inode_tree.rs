//! Which inodes of a group are in use: a tree of records, each of which is 64 inodes (`xfs_inobt_rec`, `xfs_btree_block` of
//! `fs/xfs/libxfs/xfs_format.h`).
//!
//! What stands at the place of an inode does not say: where all 64 were removed, their blocks keep what they held.

use super::geometry::Geometry;
use super::superblock::Superblock;
use crate::bytes::{be16, be32, be64, has, le32};
use crate::read_at::read;
use crate::{FileError, ReadAt};

/// Levels of a tree of all inodes that a group can have, with blocks of 512 bytes, is less.
const MAX_LEVELS: u32 = 16;
const KEY_BYTES: usize = 4;
const POINTER_BYTES: usize = 4;
const RECORD_BYTES: usize = 16;
const INODES: u32 = 64;

/// Whether the inode `within`, as its group counts, is in use.
pub(super) fn is_in_use(volume: &dyn ReadAt, geometry: &Geometry, group: u32, within: u32) -> Result<bool, FileError> {
    let (mut block, levels) = root(volume, geometry, group)?;
    let tree = Tree { volume, geometry, group };
    for level in (0..levels).rev() {
        let node = tree.block(block, level)?;
        let entries = tree.entries(&node, level)?;
        let bytes = if level == 0 { RECORD_BYTES } else { KEY_BYTES };
        let first = |entry: &&[u8]| be32(entry, 0) <= within;
        let Some((index, entry)) = entries.chunks_exact(bytes).enumerate().take_while(|(_, entry)| first(entry)).last()
        else {
            return Ok(false);
        };
        if level == 0 {
            let offset = within - be32(entry, 0);
            return Ok(offset < INODES && be64(entry, 8) >> offset & 1 == 0);
        }
        block = be32(&node, tree.pointers_at() + index * POINTER_BYTES);
    }
    Ok(false)
}

/// `agi_root` and `agi_level`.
fn root(volume: &dyn ReadAt, geometry: &Geometry, group: u32) -> Result<(u32, u32), FileError> {
    let superblock = &geometry.superblock;
    let bad = |why: String| FileError::bad(format!("AGI of group {group}: {why}"));
    let sector_bytes = usize::from(superblock.sb_sectsize);
    let start = geometry.group_offset_bytes(group);
    let (Some(start), true) = (start, sector_bytes.is_power_of_two() && (512..=32 << 10).contains(&sector_bytes))
    else {
        return Err(bad("there is no such group".into()));
    };
    let sector = read(volume, start + 2 * sector_bytes as u64, sector_bytes, "XFS AGI")?;
    if !has(&sector, 0, b"XAGI") || be32(&sector, 8) != group {
        return Err(bad("its magic or number is wrong".into()));
    }
    if superblock.has_checksums() && le32(&sector, 312) != Superblock::checksum(&sector, 312) {
        return Err(bad("its checksum is wrong".into()));
    }
    let levels = be32(&sector, 24);
    if !(1..=MAX_LEVELS).contains(&levels) {
        return Err(bad(format!("its tree has {levels} levels")));
    }
    Ok((be32(&sector, 20), levels))
}

struct Tree<'a> {
    volume: &'a dyn ReadAt,
    geometry: &'a Geometry,
    group: u32,
}

impl Tree<'_> {
    fn header_bytes(&self) -> usize {
        if self.geometry.superblock.has_checksums() { 56 } else { 16 }
    }

    /// Behind room for as many keys as fit.
    fn pointers_at(&self) -> usize {
        let block_bytes = usize::try_from(self.geometry.block_size_bytes()).unwrap_or_default();
        let room = block_bytes.saturating_sub(self.header_bytes()) / (KEY_BYTES + POINTER_BYTES);
        self.header_bytes() + room * KEY_BYTES
    }

    /// The keys or records of a block, which are in order.
    fn entries<'n>(&self, node: &'n [u8], level: u32) -> Result<&'n [u8], FileError> {
        let (start, count) = (self.header_bytes(), usize::from(be16(node, 6)));
        let (end, bytes) = if level == 0 { (node.len(), RECORD_BYTES) } else { (self.pointers_at(), KEY_BYTES) };
        let entries = node.get(start..end).and_then(|room| room.get(..count * bytes));
        entries.ok_or_else(|| self.bad(format!("a block at level {level} has {count} entries")))
    }

    /// A block, its checksum, place and owner verified where it has them.
    fn block(&self, block: u32, level: u32) -> Result<Vec<u8>, FileError> {
        let bad = |why: &str| self.bad(format!("block {block}: {why}"));
        let number = self.geometry.block_number(self.group, block);
        let Some(offset) = self.geometry.blocks_offset_bytes(number, 1) else {
            return Err(bad("it is not in the group"));
        };
        // At most 64 KiB: the superblock was validated.
        let length = usize::try_from(self.geometry.block_size_bytes()).unwrap_or_default();
        let node = read(self.volume, offset, length, "XFS inode tree")?;
        let has_checksums = self.geometry.superblock.has_checksums();
        if !has(&node, 0, if has_checksums { b"IAB3" } else { b"IABT" }) || u32::from(be16(&node, 4)) != level {
            return Err(bad("its magic or level is wrong"));
        }
        if has_checksums {
            if le32(&node, 52) != Superblock::checksum(&node, 52) {
                return Err(bad("its checksum is wrong"));
            }
            let is_this = be64(&node, 16) == offset / 512 && be32(&node, 48) == self.group;
            if !is_this || !has(&node, 32, &self.geometry.superblock.meta_uuid) {
                return Err(bad("it is of another place"));
            }
        }
        Ok(node)
    }

    fn bad(&self, why: String) -> FileError {
        FileError::bad(format!("inode tree of group {}: {why}", self.group))
    }
}
