//! Block maps of ext2 and ext3: twelve direct blocks, then one, two and three levels of indirect ones.
//!
//! <https://docs.kernel.org/filesystems/ext4/ifork.html#direct-indirect-block-addressing>

use std::collections::BTreeSet;

use super::fault::Fault;
use super::fields::le32;
use super::filesystem::Filesystem;
use super::inode::Inode;
use super::piece::{Piece, Run};

const DIRECT: usize = 12;
const POINTER_SIZE: usize = 4;

struct Walk<'w, 'd> {
    filesystem: &'w Filesystem<'d>,
    inode: &'w Inode,
    visit: &'w mut dyn FnMut(Piece) -> Result<(), Fault>,
    /// Blocks come by; no file can have more than the filesystem, which ends a map whose branches share data.
    seen_blocks: u64,
    /// Blocks of pointers come by. Branches that share them would multiply with each level, even where they hold no data.
    seen_maps: BTreeSet<u32>,
}

/// Walks the map in `i_block`.
pub(super) fn walk(
    filesystem: &Filesystem<'_>,
    inode: &Inode,
    visit: &mut dyn FnMut(Piece) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let pointers_per_block = filesystem.superblock.block_size_bytes() / POINTER_SIZE as u64;
    let mut walk = Walk { filesystem, inode, visit, seen_blocks: 0, seen_maps: BTreeSet::new() };
    let mut logical_block = 0;
    for slot in 0..DIRECT + 3 {
        let level = u32::try_from(slot.saturating_sub(DIRECT - 1)).unwrap_or(0);
        walk.pointer(le32(&inode.i_block, slot * POINTER_SIZE), level, logical_block)?;
        logical_block += pointers_per_block.pow(level);
    }
    Ok(())
}

impl Walk<'_, '_> {
    /// The block that a pointer names: data at level 0, else pointers of one level less.
    fn pointer(&mut self, block: u32, level: u32, logical_block: u64) -> Result<(), Fault> {
        if block == 0 {
            return Ok(());
        }
        let physical_block = u64::from(block);
        let number = self.inode.number;
        let count = self.filesystem.superblock.s_blocks_count;
        if !self.filesystem.contains(physical_block, 1) {
            let detail = format!("file block {logical_block}, level {level}, is block {block}, of {count}");
            return Err(Fault::damage("block-map-range", format_args!("inode {number}"), detail));
        }
        self.seen_blocks += 1;
        if self.seen_blocks > count {
            let detail = format!("it maps more than the filesystem's {count} blocks");
            return Err(Fault::damage("block-map-shared", format_args!("inode {number}"), detail));
        }
        if level == 0 {
            let run = Run { logical_block, physical_block, length_blocks: 1, is_unwritten: false };
            return (self.visit)(Piece::Data(run));
        }
        if !self.seen_maps.insert(block) {
            let detail =
                format!("file block {logical_block}, level {level}, is block {block}, which maps others already");
            return Err(Fault::damage("block-map-shared", format_args!("inode {number}"), detail));
        }
        let bytes = self.filesystem.read_block(physical_block, format_args!("inode {number}, indirect block"))?;
        (self.visit)(Piece::Map(physical_block))?;
        let step = (bytes.len() as u64 / POINTER_SIZE as u64).pow(level - 1);
        let mut logical_block = logical_block;
        for pointer in bytes.chunks_exact(POINTER_SIZE) {
            self.pointer(le32(pointer, 0), level - 1, logical_block)?;
            logical_block += step;
        }
        Ok(())
    }
}
