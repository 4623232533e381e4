//! Directory entries.
//!
//! <https://docs.kernel.org/filesystems/ext4/directory.html>. A hash tree keeps its entries in the same blocks as a plain
//! list does, and its own nodes look like blocks without entries: so every folder is read from end to end.

use std::collections::VecDeque;

use super::content::Content;
use super::node::Node;
use crate::ext4::checksum::crc32c_le;
use crate::ext4::fault::Fault;
use crate::ext4::features::compat;
use crate::ext4::fields::{byte, le16, le32};
use crate::ext4::{FileType, Filesystem};

/// `i_flags`: it is a hash tree.
const INDEX_FL: u32 = 0x1000;
const HEADER: usize = 8;
/// `ext4_dir_entry_tail`: no inode, 12 bytes, no name, this type.
const TAIL: usize = 12;
const TAIL_TYPE: u8 = 0xde;
/// The inode of the folder above, with which a folder inside of an inode begins.
const INLINE_PARENT: usize = 4;

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The inode that it names.
    pub inode: u32,
    /// 1 to 255 bytes without `/` and zero; never `.` or `..`.
    pub name: Vec<u8>,
}

/// The entries of a folder in the order that they are stored in, `.` and `..` left out.
///
/// Where a block or an entry is wrong, an error says so and the next block follows. Memory: one block, and where the
/// folder's blocks are.
pub struct Entries<'f> {
    filesystem: &'f Filesystem<'f>,
    node: Node,
    content: Content<'f>,
    next_block: u64,
    blocks_read: u64,
    /// What the block read last holds.
    read: VecDeque<Result<Entry, Fault>>,
}

impl<'d> Filesystem<'d> {
    /// The entries of the folder `node`.
    ///
    /// # Errors
    /// `not-a-folder`; those of [`Filesystem::content`].
    pub fn entries<'f>(&'f self, node: &Node) -> Result<Entries<'f>, Fault>
    where
        'd: 'f,
    {
        if node.file_type != FileType::Directory {
            return Err(Fault::damage("not-a-folder", node.place(), "it is no folder"));
        }
        let content = self.content(node)?;
        let node = node.clone();
        let mut entries =
            Entries { filesystem: self, node, content, next_block: 0, blocks_read: 0, read: VecDeque::new() };
        if entries.node.inode.has_inline_data() {
            entries.read_inline(&self.inline_data(&entries.node)?);
        }
        Ok(entries)
    }
}

impl Entries<'_> {
    /// Bytes of the volume that the blocks read until now take.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.blocks_read * self.filesystem.superblock.block_size_bytes()
    }

    fn place(&self, block: u64) -> String {
        format!("{}, directory block {block}", self.node.place())
    }

    /// `i_block` holds the parent and the first entries, `system.data` the others.
    fn read_inline(&mut self, data: &[u8]) {
        let data = data.get(..usize::try_from(self.node.inode.i_size).unwrap_or(usize::MAX)).unwrap_or(data);
        let (first, rest) = data.split_at(data.len().min(self.node.inode.i_block.len()));
        self.read_list(first.get(INLINE_PARENT..).unwrap_or_default(), 0, false);
        self.read_list(rest, 0, false);
    }

    fn read_block(&mut self, logical: u64, physical: u64) -> Result<(), Fault> {
        let block = self.filesystem.read_block(physical, self.place(logical))?;
        let is_tree = self.node.inode.i_flags & INDEX_FL != 0
            && self.filesystem.superblock.has_compat(compat::DIR_INDEX)
            && (logical == 0 || (le32(&block, 0) == 0 && self.record_length(&block, block.len()) == block.len()));
        let has_tail = self.filesystem.superblock.has_metadata_csum() && !is_tree;
        let list = if has_tail { self.without_tail(&block, logical)? } else { &block };
        self.read_list(list, logical, logical == 0);
        Ok(())
    }

    /// The block up to its tail, whose checksum is verified.
    fn without_tail<'b>(&self, block: &'b [u8], logical: u64) -> Result<&'b [u8], Fault> {
        let (list, tail) = block.split_at(block.len().saturating_sub(TAIL));
        if le32(tail, 0) != 0 || usize::from(le16(tail, 4)) != TAIL || byte(tail, 6) != 0 || byte(tail, 7) != TAIL_TYPE
        {
            return Err(Fault::damage("directory-tail", self.place(logical), "it has no tail with a checksum"));
        }
        let (stored, computed) = (le32(tail, 8), crc32c_le(self.node.inode.checksum_seed(), list));
        if stored != computed {
            let detail = format!("det_checksum is {stored:#010x}, computed {computed:#010x}");
            return Err(Fault::damage("directory-checksum", self.place(logical), detail));
        }
        Ok(list)
    }

    /// The entries of one list, up to the first that is wrong. `.` and `..` begin the first block of a folder.
    fn read_list(&mut self, list: &[u8], logical: u64, begins_with_dots: bool) {
        let mut at = 0;
        let mut index = 0;
        while at + HEADER <= list.len() {
            let record = list.get(at..).unwrap_or_default();
            let rec_len = self.record_length(record, list.len());
            let name_len = usize::from(byte(record, 6));
            if rec_len < HEADER + name_len || !rec_len.is_multiple_of(4) || rec_len > record.len() {
                let detail = format!("byte {at}: rec_len is {rec_len} with a name of {name_len} bytes");
                self.read.push_back(Err(Fault::damage("directory-record", self.place(logical), detail)));
                return;
            }
            let (inode, name) = (le32(record, 0), record.get(HEADER..HEADER + name_len).unwrap_or_default());
            let is_dots = begins_with_dots && matches!((index, name), (0, b".") | (1, b".."));
            if inode != 0 && !is_dots {
                self.read.push_back(self.entry(inode, name, logical, at));
            }
            at += rec_len;
            index += 1;
        }
    }

    fn entry(&self, inode: u32, name: &[u8], logical: u64, at: usize) -> Result<Entry, Fault> {
        let is_name = !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0));
        if !is_name {
            let detail = format!("byte {at}: inode {inode} is named \"{}\", which no file can be", name.escape_ascii());
            return Err(Fault::damage("directory-name", self.place(logical), detail));
        }
        Ok(Entry { inode, name: name.to_vec() })
    }

    /// `rec_len`, which with blocks of 64 KiB is stored otherwise where it would not fit.
    fn record_length(&self, record: &[u8], list_length: usize) -> usize {
        let rec_len = usize::from(le16(record, 4));
        match self.filesystem.superblock.block_size_bytes() {
            0x1_0000 if rec_len == 0xffff || rec_len == 0 => list_length,
            _ => rec_len,
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.read.pop_front() {
                return Some(entry);
            }
            let (logical, physical) = self.content.block_from(self.next_block)?;
            self.next_block = logical + 1;
            self.blocks_read += 1;
            if let Err(fault) = self.read_block(logical, physical) {
                return Some(Err(fault));
            }
        }
    }
}
