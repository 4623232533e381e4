//! The names in a folder. A hash tree keeps its entries in the same blocks as a plain list does, and its own nodes look
//! like blocks without entries: so every folder is read from end to end.

use std::collections::VecDeque;

use super::content::Content;
use super::node::Node;
use crate::ext4::directory_block::check_size;
use crate::ext4::dirent::{Slot, slots};
use crate::ext4::fault::Fault;
use crate::ext4::{FileType, Filesystem};

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
    end_block: u64,
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
        let mut entries = Entries {
            filesystem: self,
            node,
            content,
            next_block: 0,
            end_block: 0,
            blocks_read: 0,
            read: VecDeque::new(),
        };
        if entries.node.inode.has_inline_data() {
            entries.read_inline(&self.inline_data(&entries.node)?);
        } else {
            let i_size = entries.node.inode.i_size;
            entries.end_block = i_size.div_ceil(self.superblock.block_size_bytes());
            if let Err((code, detail)) = check_size(&self.superblock, i_size, entries.content.end_block()) {
                entries.read.push_back(Err(Fault::damage(code, entries.node.place(), detail)));
            }
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
        let found = self.filesystem.directory_block(&self.node.inode, logical, &block);
        let found = found.map_err(|(code, detail)| Fault::damage(code, self.place(logical), detail))?;
        self.read_list(found.names, logical, logical == 0);
        Ok(())
    }

    /// The entries of one list, up to the first that is wrong. `.` and `..` begin the first block of a folder.
    fn read_list(&mut self, list: &[u8], logical: u64, begins_with_dots: bool) {
        let place = self.place(logical);
        // At most 64 KiB: the superblock was validated.
        let block_size = usize::try_from(self.filesystem.superblock.block_size_bytes()).unwrap_or_default();
        for (index, slot) in slots(list, block_size).enumerate() {
            match slot {
                Ok(slot) if slot.inode == 0 => {}
                Ok(slot) if begins_with_dots && matches!((index, slot.name), (0, b".") | (1, b"..")) => {}
                Ok(slot) if slot.is_name_possible(false) => {
                    self.read.push_back(Ok(Entry { inode: slot.inode, name: slot.name.to_vec() }));
                }
                Ok(Slot { offset, inode, name, .. }) => {
                    let name = name.escape_ascii();
                    let detail = format!("byte {offset}: inode {inode} is named \"{name}\", which no file can be");
                    self.read.push_back(Err(Fault::damage("directory-name", &place, detail)));
                }
                Err((code, detail)) => self.read.push_back(Err(Fault::damage(code, &place, detail))),
            }
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
            let found = self.content.block_from(self.next_block);
            let next = found.map_or(self.end_block, |(logical, _)| logical);
            if next > self.next_block {
                let detail = format!("blocks {} to {} of it are missing, and their names", self.next_block, next - 1);
                self.next_block = next;
                return Some(Err(Fault::damage("directory-hole", self.node.place(), detail)));
            }
            let (logical, physical) = found?;
            self.next_block = logical + 1;
            self.blocks_read += 1;
            if let Err(fault) = self.read_block(logical, physical) {
                return Some(Err(fault));
            }
        }
    }
}
