//! Every block of every directory: well-formed entries, and the inodes that they name.

use std::collections::HashSet;

use super::super::block_runs::Piece;
use super::super::checksum::crc32c_le;
use super::super::fault::Fault;
use super::super::features::incompat;
use super::super::fields::le32;
use super::super::filesystem::read_volume;
use super::super::inode::Inode;
use super::Deep;
use super::dirent::{self, Entry, TAIL_SIZE};
use super::htree::{self, Htree, Wrong};
use super::inode_map::Use;
use super::inodes::{ENCRYPT_FL, INDEX_FL, ROOT_INODE};
use super::xattr;
use crate::{Finding, ProbeError};

/// `s_feature_compat`: directories may have an index.
const DIR_INDEX: u32 = 0x20;
/// `i_block` in an inode.
const I_BLOCK: std::ops::Range<usize> = 0x28..0x64;

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
        for index in 0..self.links.directories.len() {
            let Some(number) = self.links.directories.get(index).filter(|it| it.is_readable).map(|it| it.number) else {
                continue;
            };
            if let Err(fault) = self.directory(index, number) {
                self.are_names_complete = false;
                self.findings.push(fault.finding()?);
            }
        }
        Ok(())
    }

    fn directory(&mut self, index: usize, number: u32) -> Result<(), Fault> {
        let filesystem = self.filesystem;
        let superblock = &filesystem.superblock;
        let Some((group, index_in_group)) = filesystem.inode_place(number) else { return Ok(()) };
        let mut raw = vec![0; usize::from(superblock.s_inode_size)];
        let table = filesystem.group(group)?.bg_inode_table * superblock.block_size_bytes();
        let offset = table + u64::from(index_in_group) * u64::from(superblock.s_inode_size);
        read_volume(filesystem.volume, &mut raw, offset, format_args!("inode {number}"))?;
        let inode = filesystem.parse_inode(number, &raw)?;
        let mut current = Current { inode: inode.clone(), place: format!("inode {number}"), index };
        if inode.has_inline_data() {
            return self.inline_directory(&mut current, &raw);
        }
        let mut htree = None;
        if inode.i_flags & INDEX_FL != 0 {
            if superblock.has_compat(DIR_INDEX) {
                htree = Some(Htree::default());
            } else {
                let detail = "the directory has an index, which dir_index of the superblock does not announce";
                self.damage("htree-unannounced", number, detail.to_owned());
            }
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
        if let Some(Err((code, detail))) = htree.map(|htree| htree.finish()) {
            self.damage(code, number, detail);
        }
        Ok(())
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
        for (name, region) in [("i_block", i_block.get(4..)), ("system.data", xattr::inline_rest(&attributes, raw))] {
            current.place = format!("inode {number}, names in {name}");
            self.names(current, region.unwrap_or_default(), false, &mut None);
        }
        Ok(())
    }

    fn block(&mut self, current: &Current, logical: u64, bytes: &[u8], htree: &mut Option<Htree>) {
        let mut is_node = false;
        if let Some(tree) = htree {
            match tree.add(self.filesystem, &current.inode, bytes) {
                Ok(node) => is_node = node,
                Err(wrong) => {
                    self.unread(current, wrong);
                    *htree = None;
                    is_node = true;
                }
            }
        }
        let mut names = bytes;
        if is_node {
            if logical != 0 {
                return;
            }
        } else if self.filesystem.superblock.has_metadata_csum() {
            names = bytes.get(..bytes.len() - TAIL_SIZE).unwrap_or_default();
            let computed = crc32c_le(current.inode.checksum_seed(), names);
            let wrong = match dirent::tail_checksum(bytes) {
                Some(det_checksum) if det_checksum == computed => None,
                Some(stored) => Some(format!("det_checksum is {stored:#010x}, computed {computed:#010x}")),
                None => Some("it does not end with a checksum".to_owned()),
            };
            if let Some(detail) = wrong {
                return self.unread(current, ("directory-checksum", detail));
            }
        }
        self.names(current, names, logical == 0, htree);
    }

    /// The entries of one block; the first has `.` and `..`.
    fn names(&mut self, current: &Current, region: &[u8], has_dots: bool, htree: &mut Option<Htree>) {
        // At most 64 KiB: the superblock was validated.
        let block_size = usize::try_from(self.filesystem.superblock.block_size_bytes()).unwrap_or_default();
        let mut seen = HashSet::new();
        for (index, entry) in dirent::entries(region, block_size).enumerate() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(detail) => return self.unread(current, ("directory-entry", detail)),
            };
            match index {
                0 if has_dots => {
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
                    self.check_file_type(current, &entry, Use::Directory);
                    self.dot_dot(current, entry.inode);
                }
                _ if entry.inode == 0 => {}
                _ => {
                    let is_opaque = current.inode.i_flags & ENCRYPT_FL != 0;
                    let is_bad = matches!(entry.name, b"" | b"." | b"..")
                        || (!is_opaque && entry.name.iter().any(|byte| matches!(byte, 0 | b'/')));
                    if is_bad {
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
        if has_dots && dirent::entries(region, block_size).nth(1).is_none() {
            self.unread(current, ("directory-dot-dot", "there is no second entry".to_owned()));
        }
    }

    fn dot_dot(&mut self, current: &Current, parent: u32) {
        if let Some(directory) = self.links.directories.get_mut(current.index) {
            directory.dot_dot = parent;
        }
        match self.links.directory(parent) {
            Some(parent) => parent.seen = parent.seen.saturating_add(1),
            None => self.wrong(current, "directory-dot-dot", format!("`..` is inode {parent}, which is no directory")),
        }
    }

    /// An entry names an inode: it is in use, of that type, and named as often as it says.
    fn name(&mut self, current: &Current, entry: &Entry<'_>) {
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
    }

    fn check_file_type(&mut self, current: &Current, entry: &Entry<'_>, usage: Use) {
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
fn shown(entry: &Entry<'_>) -> String {
    let name = String::from_utf8_lossy(entry.name).escape_debug().to_string();
    format!("`{name}` at byte {}, inode {},", entry.offset, entry.inode)
}
