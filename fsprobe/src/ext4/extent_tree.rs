//! Extent trees.
//!
//! <https://docs.kernel.org/filesystems/ext4/ifork.html#extent-tree>

use super::checksum::crc32c_le;
use super::fault::Fault;
use super::fields::{joined, le16, le32};
use super::filesystem::Filesystem;
use super::inode::Inode;
use super::piece::{Piece, Run};

pub(super) const MAGIC: u16 = 0xf30a;
pub(super) const ENTRY_SIZE: usize = 12;
/// Deeper than any file of 2^32 blocks needs.
const MAX_DEPTH: u16 = 5;
/// `ee_len` above this is an unwritten extent of that much less.
pub(super) const MAX_WRITTEN_LENGTH: u16 = 32768;
/// File blocks are numbered with 32 bits.
const LOGICAL_END: u64 = 1 << 32;

struct Walk<'w, 'd> {
    filesystem: &'w Filesystem<'d>,
    inode: &'w Inode,
    visit: &'w mut dyn FnMut(Piece) -> Result<(), Fault>,
}

/// Walks the tree whose root is in `i_block`.
pub(super) fn walk(
    filesystem: &Filesystem<'_>,
    inode: &Inode,
    visit: &mut dyn FnMut(Piece) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut walk = Walk { filesystem, inode, visit };
    walk.node(&inode.i_block, None, None, 0..LOGICAL_END)
}

impl Walk<'_, '_> {
    fn bad(&self, code: &'static str, block: Option<u64>, detail: String) -> Fault {
        let number = self.inode.number;
        match block {
            Some(block) => Fault::damage(code, format_args!("inode {number}, extent block {block}"), detail),
            None => Fault::damage(code, format_args!("inode {number}, extent root"), detail),
        }
    }

    /// One node. `range` is what its parent says it covers: siblings do not overlap and no node below the root is empty,
    /// so that a block can be visited once only, and a loop is found out.
    fn node(
        &mut self,
        node: &[u8],
        block: Option<u64>,
        expected_depth: Option<u16>,
        range: std::ops::Range<u64>,
    ) -> Result<(), Fault> {
        let (eh_magic, eh_entries, eh_max, eh_depth) = (le16(node, 0), le16(node, 2), le16(node, 4), le16(node, 6));
        let capacity = node.len() / ENTRY_SIZE - 1;
        if eh_magic != MAGIC {
            return Err(self.bad("extent-magic", block, format!("eh_magic is {eh_magic:#x}")));
        }
        if eh_depth > MAX_DEPTH || expected_depth.is_some_and(|depth| depth != eh_depth) {
            let detail = match expected_depth {
                Some(depth) => format!("eh_depth is {eh_depth}, its parent makes it {depth}"),
                None => format!("eh_depth is {eh_depth}, more than {MAX_DEPTH}"),
            };
            return Err(self.bad("extent-depth", block, detail));
        }
        if eh_max == 0
            || eh_entries > eh_max
            || usize::from(eh_max) > capacity
            || (eh_entries == 0 && (eh_depth > 0 || block.is_some()))
        {
            let detail = format!("eh_entries is {eh_entries}, eh_max {eh_max}, room is for {capacity}");
            return Err(self.bad("extent-entries", block, detail));
        }
        if block.is_some() && self.filesystem.superblock.has_metadata_csum() {
            let end = ENTRY_SIZE * (1 + usize::from(eh_max));
            let computed = crc32c_le(self.inode.checksum_seed(), node.get(..end).unwrap_or(node));
            let et_checksum = le32(node, end);
            if et_checksum != computed {
                let detail = format!("et_checksum is {et_checksum:#010x}, computed {computed:#010x}");
                return Err(self.bad("extent-checksum", block, detail));
            }
        }
        let entries: Vec<&[u8]> = node.chunks_exact(ENTRY_SIZE).skip(1).take(eh_entries.into()).collect();
        let mut floor = range.start;
        for (index, entry) in entries.iter().enumerate() {
            let logical = u64::from(le32(entry, 0));
            // The kernel refuses a node that does not begin where its parent says.
            let is_displaced = index == 0 && block.is_some() && logical != range.start;
            if is_displaced || logical < floor || logical >= range.end {
                let detail = format!("entry {index} begins at file block {logical}, not in {floor}..{}", range.end);
                return Err(self.bad("extent-order", block, detail));
            }
            if eh_depth == 0 {
                floor = self.leaf(entry, index, block, range.end)?;
                continue;
            }
            let end = entries.get(index + 1).map_or(range.end, |next| u64::from(le32(next, 0)));
            floor = logical + 1;
            let child = joined(le16(entry, 8).into(), le32(entry, 4));
            if !self.filesystem.contains(child, 1) || child == 0 {
                return Err(self.bad("extent-range", block, format!("entry {index} points to block {child}")));
            }
            let bytes = self.filesystem.read_block(child, format_args!("inode {}, extent block", self.inode.number))?;
            (self.visit)(Piece::Map(child))?;
            self.node(&bytes, Some(child), Some(eh_depth - 1), logical..end.min(range.end))?;
        }
        Ok(())
    }

    /// One extent; returns the first file block after it.
    fn leaf(&mut self, entry: &[u8], index: usize, block: Option<u64>, range_end: u64) -> Result<u64, Fault> {
        let run = leaf_entry(entry);
        let Run { logical_block, physical_block, length_blocks, .. } = run;
        let end = logical_block + length_blocks;
        if length_blocks == 0 || end > range_end {
            let detail =
                format!("entry {index} covers file blocks {logical_block}..{end}, the node ends at {range_end}");
            return Err(self.bad("extent-order", block, detail));
        }
        if !self.filesystem.contains(physical_block, length_blocks) || physical_block == 0 {
            let count = self.filesystem.superblock.s_blocks_count;
            let detail = format!("entry {index} maps to blocks {physical_block} + {length_blocks}, of {count}");
            return Err(self.bad("extent-range", block, detail));
        }
        (self.visit)(Piece::Data(run))?;
        Ok(end)
    }
}

/// `struct ext4_extent`, 12 bytes, as it is: nothing of it was validated.
pub(super) fn leaf_entry(entry: &[u8]) -> Run {
    let ee_len = le16(entry, 4);
    let is_unwritten = ee_len > MAX_WRITTEN_LENGTH;
    Run {
        logical_block: le32(entry, 0).into(),
        physical_block: joined(le16(entry, 6).into(), le32(entry, 8)),
        length_blocks: u64::from(if is_unwritten { ee_len - MAX_WRITTEN_LENGTH } else { ee_len }),
        is_unwritten,
    }
}
