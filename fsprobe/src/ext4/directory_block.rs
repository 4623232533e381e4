//! Blocks of a directory: names or a node of the index, and the checksum of names.
//!
//! <https://docs.kernel.org/filesystems/ext4/directory.html>

use super::checksum::crc32c_le;
use super::dirent::Wrong;
use super::features::compat;
use super::fields::{byte, le16, le32, put};
use super::filesystem::Filesystem;
use super::htree_node::Node;
use super::inode::{INDEX_FL, Inode};
use super::superblock::Superblock;

/// The slot without a name at the end of a block that holds its checksum (`ext4_dir_entry_tail`).
pub(super) const TAIL_SIZE: usize = 12;
const TAIL_FILE_TYPE: u8 = 0xde;

/// A block of a directory whose checksum, where it has to have one, is right.
pub(super) struct DirectoryBlock<'b> {
    /// What slots fill; in a node of the index that is `.` and `..`, or one slot that is not in use.
    pub(super) names: &'b [u8],
    /// The node of the index that it is.
    pub(super) node: Option<Node>,
}

impl Inode {
    /// It is a directory with an index.
    pub(super) fn is_indexed(&self, filesystem: &Filesystem<'_>) -> bool {
        self.i_flags & INDEX_FL != 0 && filesystem.superblock.has_compat(compat::DIR_INDEX)
    }
}

impl Filesystem<'_> {
    /// Makes out what `block` is, which is file block `logical` of `directory`.
    ///
    /// # Errors
    /// `directory-checksum`, `htree-root`, `htree-limit`, `htree-checksum`: then none of it is to be believed.
    pub(super) fn directory_block<'b>(
        &self,
        directory: &Inode,
        logical: u64,
        block: &'b [u8],
    ) -> Result<DirectoryBlock<'b>, Wrong> {
        if directory.is_indexed(self)
            && let Some(node) = Node::parse(self, directory, logical == 0, block)?
        {
            return Ok(DirectoryBlock { names: block, node: Some(node) });
        }
        if !self.superblock.has_metadata_csum() {
            return Ok(DirectoryBlock { names: block, node: None });
        }
        let (names, tail) = block.split_at(block.len().saturating_sub(TAIL_SIZE));
        let is_tail = le32(tail, 0) == 0
            && usize::from(le16(tail, 4)) == TAIL_SIZE
            && byte(tail, 6) == 0
            && byte(tail, 7) == TAIL_FILE_TYPE;
        let (det_checksum, computed) = (le32(tail, 8), crc32c_le(directory.checksum_seed(), names));
        if !is_tail {
            return Err(("directory-checksum", "it does not end with a checksum".to_owned()));
        }
        if det_checksum != computed {
            let detail = format!("det_checksum is {det_checksum:#010x}, computed {computed:#010x}");
            return Err(("directory-checksum", detail));
        }
        Ok(DirectoryBlock { names, node: None })
    }
}

/// Writes the slot with the checksum at the end of `block`; `checksum_seed` is its directory's.
pub(super) fn seal(block: &mut [u8], checksum_seed: u32) {
    let (names, tail) = block.split_at_mut(block.len().saturating_sub(TAIL_SIZE));
    let det_checksum = crc32c_le(checksum_seed, names);
    put(tail, 0, &[0, 0, 0, 0, TAIL_SIZE as u8, 0, 0, TAIL_FILE_TYPE]);
    put(tail, 8, &det_checksum.to_le_bytes());
}

/// Compares the size of a directory with the block after its last one.
///
/// # Errors
/// `inode-size`: there would be names that are not read.
pub(super) fn check_size(superblock: &Superblock, i_size: u64, end_block: u64) -> Result<(), Wrong> {
    let block_size = superblock.block_size_bytes();
    let s_prealloc_dir_blocks = u64::from(byte(superblock.raw(), 0xcd));
    let blocks = i_size / block_size;
    let is_whole = i_size.is_multiple_of(block_size);
    if !is_whole || blocks > end_block || blocks.saturating_add(s_prealloc_dir_blocks) < end_block {
        return Err(("inode-size", format!("i_size is {i_size}, but it has {end_block} blocks")));
    }
    Ok(())
}
