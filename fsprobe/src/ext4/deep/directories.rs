//! Every block of every directory: well-formed entries, and the inodes that they name.

use std::collections::HashSet;

use super::super::dirent::{self, HEADER_SIZE, Slot, Wrong};
use super::super::fault::Fault;
use super::super::features::incompat;
use super::super::fields::le32;
use super::super::inode::{ENCRYPT_FL, I_BLOCK, INDEX_FL, Inode};
use super::super::piece::Piece;
use super::super::xattr;
use super::Deep;
use super::htree::{self, Htree};
use super::inode_map::Use;
use super::inodes::ROOT_INODE;
use crate::{Finding, ProbeError};

/// `FSCRYPT_FNAME_MIN_MSG_LEN`: the kernel reads no directory on from a shorter name.
const SHORTEST_CIPHERTEXT: usize = 16;

/// The directory that is being read.
struct Current {
    inode: Inode,
    place: String,
    /// Its index among the directories.
    index: usize,
}

impl Deep<'_, '_> {
    /// Reads all directories.
    pub(super) fn directories(&mut self) -> Result<(), ProbeError> {
        if let Some(root) = self.links.directory(ROOT_INODE) {
            root.parent = ROOT_INODE;
        }
        let mut unhashed = 0;
        for index in 0..self.links.directories.len() {
            let Some(number) = self.links.directories.get(index).filter(|it| it.is_readable).map(|it| it.number) else {
                continue;
            };
            match self.directory(index, number) {
                Ok(is_unhashed) => unhashed += u32::from(is_unhashed),
                Err(fault) => {
                    self.are_names_complete = false;
                    self.findings.push(fault.finding()?);
                }
            }
        }
        if unhashed > 0 {
            let detail = format!(
                "the names in {unhashed} of them are hashed without regard to case, or with a key: that an index leads to \
                 each of them is not checked"
            );
            self.findings.push(Finding::note("names-not-hashed", "directories", detail));
        }
        Ok(())
    }

    /// Returns whether its index could be followed, but not held against its names.
    fn directory(&mut self, index: usize, number: u32) -> Result<bool, Fault> {
        let filesystem = self.filesystem;
        let raw = filesystem.raw_inode(number)?;
        let inode = filesystem.parse_inode(number, &raw)?;
        let mut current = Current { inode: inode.clone(), place: format!("inode {number}"), index };
        if inode.has_inline_data() {
            self.inline_directory(&mut current, &raw)?;
            return Ok(false);
        }
        let mut htree = inode.is_indexed(filesystem).then(Htree::default);
        if inode.i_flags & INDEX_FL != 0 && htree.is_none() {
            let detail = "the directory has an index, which dir_index of the superblock does not announce";
            self.damage("htree-unannounced", number, detail.to_owned());
        }
        filesystem.walk_blocks(&inode, &mut |piece| {
            let Piece::Data(run) = piece else { return Ok(()) };
            for step in 0..run.length_blocks {
                let (logical, block) = (run.logical_block + step, run.physical_block + step);
                if htree.is_some() && logical >= htree::MAX_BLOCKS {
                    let detail = format!("its index is not judged beyond {logical} blocks");
                    self.findings.push(Finding::unknown("directory-too-long", current.place.clone(), detail));
                    htree = None;
                }
                let bytes = filesystem.read_block(block, &current.place)?;
                current.place = format!("inode {number}, directory block {block}");
                self.block(&current, logical, &bytes, &mut htree);
            }
            Ok(())
        })?;
        let Some(htree) = htree else { return Ok(false) };
        if let Err((code, detail)) = htree.finish() {
            self.damage(code, number, detail);
        }
        Ok(htree.is_unhashed())
    }

    /// Names in the inode: `.` is not kept, `..` is four bytes before the names.
    fn inline_directory(&mut self, current: &mut Current, raw: &[u8]) -> Result<(), Fault> {
        let number = current.inode.number;
        let i_block = raw.get(I_BLOCK).unwrap_or_default();
        self.dot_dot(current, le32(i_block, 0));
        if let Some(directory) = self.links.directories.get_mut(current.index) {
            directory.seen = directory.seen.saturating_add(1);
        }
        let attributes = xattr::in_inode(&current.inode, raw)?;
        let rest = attributes.iter().find(|entry| entry.is_inline_data()).map(|entry| entry.value);
        for (name, region) in [("i_block", i_block.get(4..)), ("system.data", rest)] {
            current.place = format!("inode {number}, names in {name}");
            self.names(current, region.unwrap_or_default(), false, &mut None);
        }
        Ok(())
    }

    fn block(&mut self, current: &Current, logical: u64, bytes: &[u8], htree: &mut Option<Htree>) {
        match self.filesystem.directory_block(&current.inode, logical, bytes) {
            Ok(block) => {
                if let Some(htree) = htree {
                    htree.add(&self.filesystem.superblock, &current.inode, block.node);
                }
                self.names(current, block.names, logical == 0, htree);
            }
            Err(wrong) => {
                *htree = None;
                self.unread(current, wrong);
            }
        }
    }

    /// The entries of one block; the first has `.` and `..`.
    fn names(&mut self, current: &Current, region: &[u8], has_dots: bool, htree: &mut Option<Htree>) {
        // At most 64 KiB: the superblock was validated.
        let block_size = usize::try_from(self.filesystem.superblock.block_size_bytes()).unwrap_or_default();
        let mut seen = HashSet::new();
        for (index, entry) in dirent::slots(region, block_size).enumerate() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(wrong) => return self.unread(current, wrong),
            };
            match index {
                0 if has_dots => {
                    self.check_dots_end(current, region, &entry);
                    if entry.name != b"." || entry.inode != current.inode.number {
                        return self
                            .unread(current, ("directory-dot", format!("the first entry is {}", shown(&entry))));
                    }
                    self.check_file_type(current, &entry, Use::Directory);
                    if let Some(directory) = self.links.directories.get_mut(current.index) {
                        directory.seen = directory.seen.saturating_add(1);
                    }
                }
                1 if has_dots => {
                    if entry.name != b".." {
                        let detail = format!("the second entry is {}", shown(&entry));
                        return self.unread(current, ("directory-dot-dot", detail));
                    }
                    self.check_dots_end(current, region, &entry);
                    self.check_file_type(current, &entry, Use::Directory);
                    self.dot_dot(current, entry.inode);
                }
                _ if entry.inode == 0 => {}
                _ => {
                    let is_encrypted = current.inode.i_flags & ENCRYPT_FL != 0;
                    if is_encrypted && entry.name.len() < SHORTEST_CIPHERTEXT {
                        let length = entry.name.len();
                        let detail = format!("{} is of {length} bytes, too short to be encrypted", shown(&entry));
                        self.wrong(current, "directory-name", detail);
                    } else if !entry.is_name_possible(is_encrypted) {
                        self.wrong(
                            current,
                            "directory-name",
                            format!("no file can have the name of {}", shown(&entry)),
                        );
                    } else if !seen.insert(entry.name) {
                        self.wrong(current, "directory-duplicate", format!("{} comes twice", shown(&entry)));
                    }
                    self.name(current, &entry);
                    if let Some(htree) = htree {
                        htree.add_name(entry.name);
                    }
                }
            }
        }
        if has_dots && dirent::slots(region, block_size).nth(1).is_none() {
            self.unread(current, ("directory-dot-dot", "there is no second entry".to_owned()));
        }
    }

    /// Kernels before 5.15 compare `.` and `..` up to a zero byte, whatever `name_len` says.
    fn check_dots_end(&mut self, current: &Current, region: &[u8], entry: &Slot<'_>) {
        let after_name = entry.offset + HEADER_SIZE + entry.name.len();
        if region.get(after_name).is_some_and(|&byte| byte != 0) {
            self.wrong(current, "directory-dot-end", format!("no zero byte follows {}", shown(entry)));
        }
    }

    fn dot_dot(&mut self, current: &Current, parent: u32) {
        if let Some(directory) = self.links.directories.get_mut(current.index) {
            directory.dot_dot = parent;
        }
        let place = self.filesystem.inode_place(parent);
        match self.links.directory(parent) {
            Some(parent) => parent.seen = parent.seen.saturating_add(1),
            // Whether it is a directory could not be read.
            None if place.is_some_and(|(group, index)| self.inodes.get(group, index) == Use::Unknown) => {}
            None => self.wrong(current, "directory-dot-dot", format!("`..` is inode {parent}, which is no directory")),
        }
    }

    /// An entry names an inode: it is in use, of that type, and named as often as it says.
    fn name(&mut self, current: &Current, entry: &Slot<'_>) {
        let number = entry.inode;
        let place = self.filesystem.inode_place(number);
        let Some((group, index)) = place.filter(|_| !self.is_internal(number)) else {
            let detail = format!(
                "{} is none of the {} inodes of files",
                shown(entry),
                self.filesystem.superblock.s_inodes_count
            );
            return self.wrong(current, "directory-inode-range", detail);
        };
        let usage = self.inodes.get(group, index);
        match usage {
            Use::Unknown | Use::BadMode => return,
            Use::Directory => {
                let Some(directory) = self.links.directory(number) else { return };
                directory.seen = directory.seen.saturating_add(1);
                if directory.parent != 0 {
                    let detail = format!("{} is a directory that inode {} names, too", shown(entry), directory.parent);
                    self.wrong(current, "directory-linked-twice", detail);
                } else {
                    directory.parent = current.inode.number;
                }
            }
            _ if usage.is_named() => self.links.name(number, group, index),
            _ => {
                return self.wrong(
                    current,
                    "directory-inode-free",
                    format!("{} is not in use as a file", shown(entry)),
                );
            }
        }
        self.check_file_type(current, entry, usage);
        let may_be_encrypted = matches!(usage, Use::Regular | Use::Directory | Use::Symlink);
        if current.inode.i_flags & ENCRYPT_FL != 0 && may_be_encrypted && self.is_plain(number) {
            let detail = format!("{} is not encrypted: the kernel refuses it here", shown(entry));
            self.wrong(current, "directory-unencrypted", detail);
        }
    }

    /// Whether a file is not encrypted. One that cannot be read was said.
    fn is_plain(&self, number: u32) -> bool {
        let inode = self.filesystem.inode(number);
        inode.is_ok_and(|inode| inode.i_flags & ENCRYPT_FL == 0)
    }

    fn check_file_type(&mut self, current: &Current, entry: &Slot<'_>, usage: Use) {
        let has_types = self.filesystem.superblock.has_incompat(incompat::FILETYPE);
        let expected = if has_types { usage as u8 } else { 0 };
        // Zero says nothing, and is filled in by whoever wants to know.
        if entry.file_type != 0 && entry.file_type != expected {
            let detail = format!("{} has file_type {}, not {expected}", shown(entry), entry.file_type);
            self.wrong(current, "directory-file-type", detail);
        }
    }

    fn wrong(&mut self, current: &Current, code: &'static str, detail: String) {
        self.findings.push(Finding::damage(code, current.place.clone(), detail));
    }

    /// Something is wrong, so that there are names that were not seen.
    fn unread(&mut self, current: &Current, (code, detail): Wrong) {
        self.are_names_complete = false;
        self.wrong(current, code, detail);
    }
}

/// An entry, for a terminal.
fn shown(entry: &Slot<'_>) -> String {
    let name = String::from_utf8_lossy(entry.name).escape_debug().to_string();
    format!("`{name}` at byte {}, inode {},", entry.offset, entry.inode)
}
