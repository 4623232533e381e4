//! Where the blocks of a file are: extent records in its inode, or in the leaves of a tree below it (`xfs_bmbt_rec`,
//! `xfs_bmdr_block`, `xfs_btree_block` of `fs/xfs/libxfs/xfs_format.h`).
//!
//! No walk follows a number further than it has to: a child is one level below its parent, records go up without overlap,
//! and both are counted.

use super::geometry::Geometry;
use super::inode::{Fork, Inode, RECORD_BYTES};
use super::superblock::Superblock;
use crate::bytes::{be16, be32, be64, has, le32};
use crate::read_at::read;
use crate::{FileError, ReadAt};

const KEY_BYTES: usize = 8;
const POINTER_BYTES: usize = 8;
/// Pieces that a file may be in: 32 MiB of memory while it is read.
const MAX_PIECES: u64 = 1 << 20;
/// Blocks of a tree with that many, the smallest ones half full.
const MAX_TREE_BLOCKS: usize = 1 << 17;
/// `XFS_BTREE_MAXLEVELS`.
const MAX_LEVELS: u16 = 9;
/// The longest extent: 21 bits count its blocks.
const COUNT_BITS: u32 = 21;

/// Consecutive blocks of a file that are consecutive on the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// The first one's number in the file (`br_startoff`).
    pub logical_block: u64,
    /// Where it is on the volume.
    pub offset_bytes: u64,
    /// How many.
    pub length_blocks: u64,
    /// Allocated but never written: it reads as zeros.
    pub is_unwritten: bool,
}

impl Run {
    /// The block behind it.
    pub fn end_block(&self) -> u64 {
        self.logical_block + self.length_blocks
    }
}

/// The extents of `inode`, in order, without overlap.
pub(super) fn runs(volume: &dyn ReadAt, geometry: &Geometry, inode: &Inode) -> Result<Vec<Run>, FileError> {
    if inode.di_nextents > MAX_PIECES {
        return Err(inode.bad(format!("it is in {} pieces; at most {MAX_PIECES} are read", inode.di_nextents)));
    }
    let mut map = Map { geometry, inode, runs: Vec::new() };
    match inode.fork()? {
        Fork::Extents(records) => map.add(records)?,
        Fork::Btree(root) => map.walk(volume, root)?,
    }
    if map.runs.len() as u64 != inode.di_nextents {
        return Err(inode.bad(format!("it has {} extents, di_nextents is {}", map.runs.len(), inode.di_nextents)));
    }
    Ok(map.runs)
}

struct Map<'a> {
    geometry: &'a Geometry,
    inode: &'a Inode,
    runs: Vec<Run>,
}

impl Map<'_> {
    /// Adds the extents of whole records.
    fn add(&mut self, records: &[u8]) -> Result<(), FileError> {
        for record in records.chunks_exact(RECORD_BYTES) {
            let run = self.run(record)?;
            if self.runs.last().is_some_and(|last| run.logical_block < last.end_block()) {
                return Err(self.inode.bad(format!("its extent at block {} overlaps the last one", run.logical_block)));
            }
            if self.runs.len() as u64 >= self.inode.di_nextents {
                return Err(self.inode.bad(format!("it has more extents than {}", self.inode.di_nextents)));
            }
            self.runs.push(run);
        }
        Ok(())
    }

    /// 128 bits, from the top: unwritten 1, `br_startoff` 54, `br_startblock` 52, `br_blockcount` 21.
    fn run(&self, record: &[u8]) -> Result<Run, FileError> {
        let (high, low) = (be64(record, 0), be64(record, 8));
        let logical_block = high << 1 >> 10;
        let start_block = (high & 0x1ff) << (64 - COUNT_BITS) | low >> COUNT_BITS;
        let length_blocks = low & ((1 << COUNT_BITS) - 1);
        let last_block = i64::MAX as u64 >> self.geometry.superblock.sb_blocklog;
        let offset_bytes = self.geometry.blocks_offset_bytes(start_block, length_blocks);
        let Some(offset_bytes) =
            offset_bytes.filter(|_| length_blocks > 0 && logical_block + length_blocks <= last_block)
        else {
            return Err(self.inode.bad(format!(
                "its extent at block {logical_block} has {length_blocks} blocks from {start_block:#x} on, which are not there"
            )));
        };
        Ok(Run { logical_block, offset_bytes, length_blocks, is_unwritten: high >> 63 != 0 })
    }

    /// Follows the tree whose root is the data fork, from left to right.
    fn walk(&mut self, volume: &dyn ReadAt, root: &[u8]) -> Result<(), FileError> {
        let (level, count) = (be16(root, 0), be16(root, 2));
        if !(1..MAX_LEVELS).contains(&level) {
            return Err(self.inode.bad(format!("the root of its extents is at level {level}")));
        }
        // What is still to be read: the next one last. A path down has no more than MAX_LEVELS nodes' pointers.
        let mut ahead = Vec::new();
        self.push_children(&mut ahead, root, 4, level, count)?;
        for _ in 0..MAX_TREE_BLOCKS {
            let Some((block, level)) = ahead.pop() else { return Ok(()) };
            let node = self.read_block(volume, block, level)?;
            let header = self.header_bytes();
            let count = be16(&node, 6);
            if level > 0 {
                self.push_children(&mut ahead, &node, header, level, count)?;
                continue;
            }
            let records = node.get(header..).and_then(|rest| rest.get(..usize::from(count) * RECORD_BYTES));
            match records.filter(|records| !records.is_empty()) {
                Some(records) => self.add(records)?,
                None => return Err(self.inode.bad(format!("block {block:#x} of its extents has {count} records"))),
            }
        }
        Err(self.inode.bad(format!("the tree of its extents has more than {MAX_TREE_BLOCKS} blocks")))
    }

    /// The pointers of a node or the root: behind room for as many keys as fit.
    fn push_children(
        &self,
        ahead: &mut Vec<(u64, u16)>,
        node: &[u8],
        header: usize,
        level: u16,
        count: u16,
    ) -> Result<(), FileError> {
        let room = node.len().saturating_sub(header) / (KEY_BYTES + POINTER_BYTES);
        let count = usize::from(count);
        if count == 0 || count > room {
            return Err(self
                .inode
                .bad(format!("a node of its extents at level {level} has {count} children of {room}")));
        }
        let pointers = header + room * KEY_BYTES;
        ahead.extend((0..count).rev().map(|index| (be64(node, pointers + index * POINTER_BYTES), level - 1)));
        Ok(())
    }

    fn header_bytes(&self) -> usize {
        if self.geometry.superblock.has_checksums() { 72 } else { 24 }
    }

    /// A block of the tree, its checksum, place and owner verified where it has them.
    fn read_block(&self, volume: &dyn ReadAt, block: u64, level: u16) -> Result<Vec<u8>, FileError> {
        let bad = |why: String| self.inode.bad(format!("block {block:#x} of its extents: {why}"));
        let Some(offset) = self.geometry.blocks_offset_bytes(block, 1) else {
            return Err(bad("it is not in the filesystem".into()));
        };
        // At most 64 KiB: the superblock was validated.
        let length = usize::try_from(self.geometry.block_size_bytes()).unwrap_or_default();
        let node = read(volume, offset, length, "XFS extents of a file")?;
        let has_checksums = self.geometry.superblock.has_checksums();
        if !has(&node, 0, if has_checksums { b"BMA3" } else { b"BMAP" }) {
            return Err(bad(format!("its magic is {:#010x}", be32(&node, 0))));
        }
        if has_checksums {
            let (stored, computed) = (le32(&node, 64), Superblock::checksum(&node, 64));
            if stored != computed {
                return Err(bad(format!("its checksum is {stored:#010x}, its bytes give {computed:#010x}")));
            }
            let is_this = be64(&node, 24) == offset / 512
                && be64(&node, 56) == self.inode.number
                && has(&node, 40, &self.geometry.superblock.meta_uuid);
            if !is_this {
                return Err(bad(format!("it is of inode {}, or of another place", be64(&node, 56))));
            }
        }
        if be16(&node, 4) != level {
            return Err(bad(format!("it is at level {}, its parent says {level}", be16(&node, 4))));
        }
        Ok(node)
    }
}
