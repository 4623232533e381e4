//! Sizes: what `i_size` says against what is mapped.

use super::super::directory_block;
use super::super::fault::Fault;
use super::super::features::ro_compat;
use super::super::inode::{ENCRYPT_FL, Inode, VERITY_FL};
use super::super::xattr::Entry;
use super::Deep;
use super::inode_map::Use;
use super::space::Tally;

/// Larger files need the feature `large_file`.
const MAX_SMALL_SIZE: u64 = 0x7fff_ffff;

impl Deep<'_, '_> {
    pub(super) fn compare_i_size(&mut self, inode: &Inode, usage: Use, tally: &Tally, attributes: &[Entry<'_>]) {
        let superblock = &self.filesystem.superblock;
        let block_size = superblock.block_size_bytes();
        let (number, i_size) = (inode.number, inode.i_size);
        let is_file = matches!(usage, Use::Regular | Use::EaInode);
        if is_file && i_size > MAX_SMALL_SIZE && !superblock.has_ro_compat(ro_compat::LARGE_FILE) {
            self.damage("large-file-flag", number, format!("i_size is {i_size}, which needs the feature large_file"));
        }
        if is_file && i_size > max_size(inode, block_size) {
            self.damage("inode-size", number, format!("i_size is {i_size}, more than can be mapped"));
        } else if inode.has_inline_data() {
            let Some(rest) = attributes.iter().find(|entry| entry.is_inline_data()) else {
                return self.damage("inline-data", number, "it has inline data, but no attribute for it".to_owned());
            };
            let length = inode.i_block.len() + rest.value.len();
            // A file may be longer: its end is a hole.
            if usage == Use::Directory && i_size != length as u64 {
                self.damage("inode-size", number, format!("i_size is {i_size}, its inline data has {length} bytes"));
            }
        } else if usage == Use::Directory {
            if tally.has_unwritten {
                self.damage("directory-unwritten", number, "a block of it was allocated, but never written".to_owned());
            } else if tally.has_holes {
                self.damage("directory-hole", number, format!("one of its {} blocks is missing", tally.end));
            }
            if let Err((code, detail)) = directory_block::check_size(superblock, i_size, tally.end) {
                self.damage(code, number, detail);
            }
        } else if is_file
            && !self.orphans.contains(&number)
            && inode.i_flags & VERITY_FL == 0
            && let Some(last) = tally.last_written
            && i_size < last * block_size
        {
            self.damage("inode-size", number, format!("i_size is {i_size}, but file block {last} is written"));
        } else if matches!(usage, Use::CharacterDevice | Use::BlockDevice | Use::Fifo | Use::Socket) && i_size != 0 {
            self.damage("inode-size", number, format!("i_size is {i_size}, but it has no content"));
        }
    }

    /// A target ends with a zero byte at `i_size`, and has none before; ciphertext may have any.
    pub(super) fn symlink(&mut self, inode: &Inode, tally: &Tally) -> Result<(), Fault> {
        let number = inode.number;
        let length = usize::try_from(inode.i_size).unwrap_or(usize::MAX);
        let target = match tally.first_block {
            Some(block) => self.filesystem.read_block(block, format_args!("inode {number}, symlink"))?,
            None => inode.i_block.to_vec(),
        };
        let is_encrypted = inode.i_flags & ENCRYPT_FL != 0;
        let end = target.iter().position(|&byte| byte == 0);
        let is_whole = tally.end == u64::from(tally.first_block.is_some());
        if length == 0 || !is_whole || length >= target.len() || (!is_encrypted && end != Some(length)) {
            let end = end.unwrap_or(target.len());
            let detail = format!("i_size is {length}, its target ends at byte {end}, it has {} blocks", tally.end);
            self.damage("symlink", number, detail);
        }
        Ok(())
    }
}

/// The longest file that its map has room for.
fn max_size(inode: &Inode, block_size: u64) -> u64 {
    let pointers = block_size / 4;
    let blocks = if inode.has_extents() { 1 << 32 } else { 12 + pointers + pointers.pow(2) + pointers.pow(3) };
    blocks * block_size - 1
}
