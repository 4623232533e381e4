//! Names in a directory, as they are changed.
//!
//! The index of a directory is not kept up: like e2fsprogs, a directory that changes loses it, and its blocks are searched
//! in a row, as those of any directory without one.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use super::inode::unfollowed;
use super::writes::Writes;
use crate::ext4::directory_block;
use crate::ext4::dirent;
use crate::ext4::fault::Fault;
use crate::ext4::fields::put;
use crate::ext4::{FileType, Filesystem, Inode};

const TYPE_DIRECTORY: u8 = FileType::Directory as u8;

/// What happens to the names of a directory.
pub(super) type Names = BTreeMap<Vec<u8>, Change>;

/// What happens to one name.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// It goes where it is that of one of these inodes.
    pub(super) removed: BTreeSet<u32>,
    /// It is that of this inode then, unless it is there still.
    pub(super) added: Option<u32>,
}

/// An entry that is to be made.
struct New<'n> {
    name: &'n [u8],
    inode: u32,
    file_type: u8,
}

/// A directory whose blocks are changed.
pub(super) struct Directory<'w, 'f, 'd> {
    pub(super) filesystem: &'f Filesystem<'d>,
    pub(super) inode: Inode,
    pub(super) writes: &'w mut Writes<'f, 'd>,
    /// Its blocks, in order.
    pub(super) blocks: Vec<u64>,
    /// How many of its entries are directories, `.` and `..` not among them.
    pub(super) directories: u32,
}

impl Directory<'_, '_, '_> {
    /// Carries `names` out. `types` has the `file_type` of each inode that can get a name; `allocate` gives the blocks that
    /// the directory grows by.
    pub(super) fn change(
        &mut self,
        mut names: Names,
        types: &BTreeMap<u32, u8>,
        allocate: &mut dyn FnMut() -> Result<u64, Fault>,
    ) -> Result<(), Fault> {
        for index in 0..self.blocks.len() {
            self.remove(index, &mut names)?;
        }
        let new = names.iter().filter_map(|(name, change)| {
            let inode = change.added?;
            Some(New { name, inode, file_type: *types.get(&inode)? })
        });
        let mut new = new.peekable();
        let mut index = 0;
        while new.peek().is_some() {
            if index == self.blocks.len() {
                let block = allocate()?;
                let empty = self.empty_block(&[]);
                self.writes.write(block, empty)?;
                self.blocks.push(block);
            }
            self.fill(index, &mut new)?;
            index += 1;
        }
        Ok(())
    }

    /// Takes from `new` what there is room for in a block.
    fn fill<'n>(&mut self, index: usize, new: &mut Peekable<impl Iterator<Item = New<'n>>>) -> Result<(), Fault> {
        let Some(&block) = self.blocks.get(index) else { return Ok(()) };
        let mut bytes = self.writes.read(block)?;
        let mut is_changed = false;
        while let Some(entry) = new.next_if(|entry| self.insert(&mut bytes, entry)) {
            is_changed = true;
            self.directories += u32::from(entry.file_type == TYPE_DIRECTORY);
        }
        if is_changed {
            self.seal(&mut bytes);
            self.writes.write(block, bytes)?;
        }
        Ok(())
    }

    /// The first block of a directory that is made in `parent`.
    pub(super) fn first_block(&self, parent: u32) -> Vec<u8> {
        self.empty_block(&[(self.inode.number, &b"."[..]), (parent, b"..")])
    }

    /// Takes names out of a block, and all that there is to an index; notes which names stay.
    fn remove(&mut self, index: usize, names: &mut Names) -> Result<(), Fault> {
        let Some(&block) = self.blocks.get(index) else { return Ok(()) };
        let mut bytes = self.writes.read(block)?;
        let place = format_args!("inode {}, block {block}", self.inode.number);
        let wrong = |(code, detail): dirent::Wrong| Fault::damage(code, place, detail);
        let parsed = self.filesystem.directory_block(&self.inode, index as u64, &bytes).map_err(wrong)?;
        if parsed.node.is_some() {
            let slots = dirent::slots(&bytes, bytes.len()).filter_map(Result::ok).filter(|slot| slot.inode != 0);
            let kept: Vec<(u32, &[u8])> = slots.map(|slot| (slot.inode, slot.name)).collect();
            let plain = self.empty_block(&kept);
            return self.writes.write(block, plain);
        }
        let mut gone = Vec::new();
        let mut before = None;
        for slot in dirent::slots(parsed.names, bytes.len()) {
            let slot = slot.map_err(wrong)?;
            let change = if slot.inode == 0 { None } else { names.get_mut(slot.name) };
            match change {
                Some(change) if change.removed.contains(&slot.inode) => {
                    gone.push((before, slot.offset, slot.rec_len));
                    continue;
                }
                Some(change) => change.added = None,
                None => {}
            }
            let is_dot = matches!(slot.name, b"." | b"..");
            self.directories += u32::from(slot.inode != 0 && slot.file_type == TYPE_DIRECTORY && !is_dot);
            before = Some(slot.offset);
        }
        if gone.is_empty() {
            return Ok(());
        }
        let block_size = bytes.len();
        for (before, offset, rec_len) in gone {
            put(&mut bytes, offset, &[0; 4]);
            if let Some(before) = before {
                let length = dirent::rec_len(&bytes, before, block_size) + rec_len;
                put_rec_len(&mut bytes, before, length);
            }
        }
        self.seal(&mut bytes);
        self.writes.write(block, bytes)
    }

    /// Puts an entry where there is room for it, and returns whether there was any.
    fn insert(&self, bytes: &mut [u8], new: &New<'_>) -> bool {
        let needed = dirent::needed(new.name.len());
        let names = bytes.get(..self.names_length(bytes.len())).unwrap_or_default();
        let room = dirent::slots(names, bytes.len()).map_while(Result::ok).find_map(|slot| {
            let used = if slot.inode == 0 { 0 } else { dirent::needed(slot.name.len()) };
            (slot.rec_len >= used + needed).then_some((slot.offset, used, slot.rec_len))
        });
        let Some((offset, used, rec_len)) = room else { return false };
        if used > 0 {
            put_rec_len(bytes, offset, used);
        }
        put_entry(bytes, offset + used, rec_len - used, new.inode, new.name, new.file_type);
        true
    }

    /// A block with these directories as its only entries.
    fn empty_block(&self, directories: &[(u32, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; self.filesystem.superblock.block_size_bytes() as usize];
        let end = self.names_length(bytes.len());
        put_entry(&mut bytes, 0, end, 0, b"", 0);
        let mut offset = 0;
        for (index, (inode, name)) in directories.iter().enumerate() {
            let is_last = index + 1 == directories.len();
            let rec_len = if is_last { end - offset } else { dirent::needed(name.len()) };
            put_entry(&mut bytes, offset, rec_len, *inode, name, TYPE_DIRECTORY);
            offset += rec_len;
        }
        self.seal(&mut bytes);
        bytes
    }

    fn names_length(&self, block_size: usize) -> usize {
        block_size - if self.filesystem.superblock.has_metadata_csum() { directory_block::TAIL_SIZE } else { 0 }
    }

    fn seal(&self, bytes: &mut [u8]) {
        if self.filesystem.superblock.has_metadata_csum() {
            directory_block::seal(bytes, self.inode.checksum_seed());
        }
    }
}

/// The blocks of a directory in order, from what it maps.
///
/// # Errors
/// `directory-hole`.
pub(super) fn blocks_in_order<'r>(
    number: u32,
    runs: impl Iterator<Item = &'r crate::ext4::Run>,
) -> Result<Vec<u64>, Fault> {
    let mut blocks = Vec::new();
    for run in runs {
        if run.logical_block != blocks.len() as u64 || run.is_unwritten {
            let detail = format!("its file block {} is missing", blocks.len());
            return Err(Fault::damage("directory-hole", format_args!("inode {number}"), detail));
        }
        if blocks.len() as u64 + run.length_blocks > MAX_BLOCKS {
            return Err(unfollowed(number, "the directory is too long"));
        }
        blocks.extend(run.physical_block..run.physical_block + run.length_blocks);
    }
    Ok(blocks)
}

/// Blocks of a directory that are looked at: some ten million names.
const MAX_BLOCKS: u64 = 1 << 17;

fn put_rec_len(bytes: &mut [u8], offset: usize, length: usize) {
    let stored = dirent::stored_rec_len(length, bytes.len());
    put(bytes, offset + 4, &stored.to_le_bytes());
}

fn put_entry(bytes: &mut [u8], offset: usize, rec_len: usize, inode: u32, name: &[u8], file_type: u8) {
    put(bytes, offset, &inode.to_le_bytes());
    put_rec_len(bytes, offset, rec_len);
    put(bytes, offset + 6, &[name.len() as u8, file_type]);
    put(bytes, offset + 8, name);
}
