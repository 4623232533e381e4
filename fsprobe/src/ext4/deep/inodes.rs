//! Every inode in use, and what it will be held against later.

use super::super::fault::Fault;
use super::super::features::incompat;
use super::super::fields::{joined, le16, le32};
use super::super::filesystem::read_volume;
use super::super::group::GroupDescriptor;
use super::super::inode::{CASEFOLD_FL, FileType, INDEX_FL, Inode};
use super::Deep;
use super::inode_map::Use;
use super::links::Directory;
use crate::{Finding, ProbeError};

pub(super) const BAD_BLOCKS_INODE: u32 = 1;
pub(super) const ROOT_INODE: u32 = 2;
/// Bytes of inode tables read at once: a multiple of every inode size.
const READ_SIZE: u64 = 64 * 1024;

impl Deep<'_, '_> {
    /// Reads the inode table of a group, as far as it was ever used.
    pub(super) fn scan_inodes(&mut self, descriptor: &GroupDescriptor) -> Result<(), ProbeError> {
        let superblock = &self.filesystem.superblock;
        let (group, size) = (descriptor.group, u64::from(superblock.s_inode_size));
        let per_group = superblock.s_inodes_per_group;
        let used = if !superblock.has_group_checksums() {
            per_group
        } else if descriptor.is_inode_table_uninit() {
            0
        } else {
            per_group.saturating_sub(descriptor.bg_itable_unused)
        };
        let table = descriptor.bg_inode_table * superblock.block_size_bytes();
        let end = u64::from(used) * size;
        let mut buffer = vec![0; READ_SIZE as usize];
        let mut index = 0;
        for start in (0..end).step_by(READ_SIZE as usize) {
            let length = (end - start).min(READ_SIZE) as usize;
            let chunk = buffer.get_mut(..length).unwrap_or_default();
            if let Err(fault) =
                read_volume(self.filesystem.volume, chunk, table + start, format_args!("group {group} inode table"))
            {
                self.broken(fault)?;
                self.inodes.set_unknown(group);
                return Ok(());
            }
            for raw in chunk.chunks_exact(size as usize) {
                // Checked with the geometry: group * s_inodes_per_group is below s_inodes_count, which has 32 bits.
                let number = group * per_group + index + 1;
                self.inode(number, group, index, raw)?;
                index += 1;
            }
        }
        Ok(())
    }

    fn inode(&mut self, number: u32, group: u32, index: u32, raw: &[u8]) -> Result<(), ProbeError> {
        let is_internal = self.is_internal(number);
        if is_internal {
            self.inodes.set(group, index, Use::Internal);
        }
        if raw.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        let inode = match self.filesystem.parse_inode(number, raw) {
            Ok(inode) => inode,
            Err(fault) => {
                // What it says it is is believed, so that not every name of it is a finding as well.
                self.broken(fault)?;
                self.are_names_complete = false;
                if !is_internal && le16(raw, 0x1a) != 0 {
                    self.inodes.set(group, index, Use::Unknown);
                }
                return Ok(());
            }
        };
        if is_internal && number != BAD_BLOCKS_INODE && inode.i_mode == 0 && inode.i_blocks == 0 {
            // Kept for a use that never came: what else it says means nothing.
            return Ok(());
        }
        let is_orphan = self.orphans.contains(&number);
        if inode.i_links_count == 0 && !is_internal && !is_orphan {
            if inode.i_dtime == 0 && inode.i_mode != 0 {
                let detail = format!("it is deleted (no links, mode {:#o}), but has no time of deletion", inode.i_mode);
                self.damage("inode-no-dtime", number, detail);
            }
            return Ok(());
        }
        let usage = self.usage(&inode, is_internal, is_orphan);
        self.inodes.set(group, index, usage);
        let obso_faddr = le32(raw, 0x70);
        let is_casefolded = inode.i_flags & CASEFOLD_FL != 0;
        let has_casefold = self.filesystem.superblock.has_incompat(incompat::CASEFOLD);
        let is_index_misplaced = inode.i_flags & INDEX_FL != 0 && !usage.is_directory();
        let is_casefold_misplaced = is_casefolded && !(has_casefold && usage.is_directory());
        if !is_internal && (obso_faddr != 0 || is_index_misplaced || is_casefold_misplaced) {
            let detail = format!("i_flags is {:#x} for mode {:#o}, i_faddr {obso_faddr}", inode.i_flags, inode.i_mode);
            self.damage("inode-flags", number, detail);
        }
        if !is_internal && !is_orphan && inode.i_dtime != 0 {
            self.damage("inode-dtime", number, format!("it is in use, but i_dtime is {}", inode.i_dtime));
        }
        let is_readable = match self.content(&inode, raw, usage) {
            Ok(()) => true,
            Err(fault) => {
                self.broken(fault)?;
                self.are_names_complete &= usage != Use::Directory;
                false
            }
        };
        match usage {
            Use::Directory => self.links.directories.push(Directory {
                number,
                parent: 0,
                dot_dot: 0,
                seen: 0,
                i_links_count: inode.i_links_count,
                is_readable,
                is_indexed: inode.i_flags & INDEX_FL != 0,
            }),
            // Its reference count is in fields that a file has for other things: i_ctime and i_version.
            Use::EaInode => {
                let references = joined(le32(raw, 0xc), le32(raw, 0x24));
                self.links.ea_inodes.entry(number).or_default().stored = references;
            }
            _ if usage.is_named() => self.links.expect(number, inode.i_links_count),
            _ => {}
        }
        Ok(())
    }

    /// Inodes that the filesystem keeps for itself and that have no name.
    pub(super) fn is_internal(&self, number: u32) -> bool {
        let superblock = &self.filesystem.superblock;
        let s_prj_quota_inum = le32(superblock.raw(), 0x26c);
        (number < superblock.s_first_ino && number != ROOT_INODE)
            || [superblock.s_journal_inum, superblock.s_orphan_file_inum, s_prj_quota_inum].contains(&number)
    }

    fn usage(&mut self, inode: &Inode, is_internal: bool, is_orphan: bool) -> Use {
        let number = inode.number;
        let file_type = inode.file_type();
        if is_internal {
            // The undelete and boot loader inodes were never given a use; the others are files.
            if inode.i_mode != 0 && file_type != Some(FileType::Regular) {
                self.damage("inode-mode", number, format!("i_mode is {:#o} for an internal file", inode.i_mode));
            }
            return Use::Internal;
        }
        let usage = file_type.map_or(Use::BadMode, Use::of);
        if usage == Use::BadMode || (number == ROOT_INODE && usage != Use::Directory) {
            self.damage("inode-mode", number, format!("i_mode is {:#o}", inode.i_mode));
        } else if inode.is_ea_inode() && self.filesystem.superblock.has_incompat(incompat::EA_INODE) {
            if usage != Use::Regular {
                self.damage(
                    "inode-mode",
                    number,
                    format!("i_mode is {:#o} for the value of an attribute", inode.i_mode),
                );
            }
            return Use::EaInode;
        }
        match usage {
            Use::Directory if is_orphan && inode.i_links_count == 0 => Use::OrphanDirectory,
            _ if is_orphan && inode.i_links_count == 0 => Use::Orphan,
            usage => usage,
        }
    }

    /// A finding about an inode.
    pub(super) fn damage(&mut self, code: &'static str, number: u32, detail: String) {
        self.findings.push(Finding::damage(code, format!("inode {number}"), detail));
    }

    /// Notes what keeps claims from being complete; a failed read is passed up.
    fn broken(&mut self, fault: Fault) -> Result<(), ProbeError> {
        self.is_space_complete = false;
        let finding = fault.finding()?;
        match self.space.take_contested() {
            Some(contest) => self.contests.push(contest),
            None => self.findings.push(finding),
        }
        Ok(())
    }
}
