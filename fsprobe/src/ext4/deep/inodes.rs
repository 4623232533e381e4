//! Every inode in use: itself, the blocks that it has, and what it will be held against later.

use super::super::block_runs::Piece;
use super::super::fault::Fault;
use super::super::features::incompat;
use super::super::fields::{byte, joined, le16, le32};
use super::super::filesystem::read_volume;
use super::super::group::GroupDescriptor;
use super::super::inode::{FileType, Inode};
use super::Deep;
use super::inode_map::Use;
use super::links::Directory;
use super::space::Tally;
use super::xattr::{self, Entry};
use crate::{Finding, ProbeError};

pub(super) const BAD_BLOCKS_INODE: u32 = 1;
pub(super) const ROOT_INODE: u32 = 2;
const RESIZE_INODE: u32 = 7;
/// Bytes of inode tables read at once: a multiple of every inode size.
const READ_SIZE: u64 = 64 * 1024;

/// `i_flags`: the directory has an index.
pub(super) const INDEX_FL: u32 = 0x1000;
/// `i_flags`: names are ciphertext.
pub(super) const ENCRYPT_FL: u32 = 0x800;
/// `i_mode` of a regular file, which the list of bad blocks is without saying so.
const REGULAR: u16 = 0x8000;
const VERITY_FL: u32 = 0x10_0000;

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

    /// Its attributes and blocks, and the sizes that follow from them. Ends at the first thing that is wrong with its map.
    fn content(&mut self, inode: &Inode, raw: &[u8], usage: Use) -> Result<(), Fault> {
        let number = inode.number;
        let room = raw.len().saturating_sub(128);
        let extra = usize::from(inode.i_extra_isize);
        if extra != 0 && (extra < 4 || extra > room || !extra.is_multiple_of(4)) {
            let detail = format!("i_extra_isize is {extra}, room is for {room} bytes");
            return Err(Fault::damage("inode-extra-isize", format_args!("inode {number}"), detail));
        }
        let attributes = xattr::in_inode(inode, raw)?;
        let mut tally = Tally::default();
        let large_values = xattr::large_values(&attributes);
        self.refer_to_ea_inodes(&large_values);
        let mut quota_clusters = self.value_clusters(&large_values);
        if inode.i_file_acl != 0 {
            quota_clusters += self.attribute_block(inode, &mut tally)?;
        }
        if usage == Use::BadMode {
            // Whether it has blocks is a question of its mode.
            self.is_space_complete = false;
            return Ok(());
        }
        match number {
            RESIZE_INODE => self.claim_resize_inode(inode, &mut tally)?,
            BAD_BLOCKS_INODE => {
                let mut listed = inode.clone();
                listed.i_mode = REGULAR;
                self.claim_blocks(&listed, &mut tally)?;
            }
            _ => self.claim_blocks(inode, &mut tally)?,
        }
        if number != BAD_BLOCKS_INODE {
            self.compare_i_blocks(inode, tally.clusters + quota_clusters);
        }
        self.compare_i_size(inode, usage, &tally, &attributes, raw);
        if usage == Use::Symlink && !inode.has_inline_data() {
            self.symlink(inode, &tally)?;
        }
        Ok(())
    }

    fn claim_blocks(&mut self, inode: &Inode, tally: &mut Tally) -> Result<(), Fault> {
        let (space, metadata) = (&mut self.space, &self.metadata);
        let owner = inode.number;
        self.filesystem.walk_blocks(inode, &mut |piece| space.claim_piece(owner, piece, tally, metadata))
    }

    /// The resize inode maps the room that is kept for more descriptors, which is the filesystem's own already: only the
    /// block of pointers that leads there is its own.
    fn claim_resize_inode(&mut self, inode: &Inode, tally: &mut Tally) -> Result<(), Fault> {
        let (space, metadata) = (&mut self.space, &self.metadata);
        let mut is_first = true;
        self.filesystem.walk_blocks(inode, &mut |piece| {
            let block = match piece {
                Piece::Map(block) if std::mem::take(&mut is_first) => {
                    return space.claim_block(RESIZE_INODE, block, tally, metadata);
                }
                Piece::Map(block) => block,
                Piece::Data(run) => run.physical_block,
            };
            tally.clusters += 1;
            if metadata.contains(block) {
                return Ok(());
            }
            let detail = format!("block {block} is not in the room for group descriptors");
            Err(Fault::damage("resize-inode", format_args!("inode {RESIZE_INODE}"), detail))
        })
    }

    /// The block of attributes, shared or not. Returns the clusters of values outside of it.
    fn attribute_block(&mut self, inode: &Inode, tally: &mut Tally) -> Result<u64, Fault> {
        let block = inode.i_file_acl;
        if let Some(shared) = self.shared_attributes.get_mut(&block) {
            shared.seen = shared.seen.saturating_add(1);
            tally.clusters += 1;
            let large_values = shared.large_values.clone();
            return Ok(self.value_clusters(&large_values));
        }
        if !self.filesystem.contains(block, 1) {
            let count = self.filesystem.superblock.s_blocks_count;
            let detail = format!("its attributes are in block {block}, of {count}");
            return Err(Fault::damage("xattr-range", format_args!("inode {}", inode.number), detail));
        }
        self.space.claim_block(inode.number, block, tally, &self.metadata)?;
        let shared = xattr::in_block(self.filesystem, inode)?;
        self.refer_to_ea_inodes(&shared.large_values);
        let clusters = self.value_clusters(&shared.large_values);
        if shared.h_refcount > 1 {
            self.shared_attributes.insert(block, shared);
        }
        Ok(clusters)
    }

    fn refer_to_ea_inodes(&mut self, values: &[(u32, u32)]) {
        for &(number, _) in values {
            self.links.ea_inodes.entry(number).or_default().seen += 1;
        }
    }

    /// Clusters of values in inodes of their own: the file whose attributes they are is charged for them.
    fn value_clusters(&self, values: &[(u32, u32)]) -> u64 {
        let superblock = &self.filesystem.superblock;
        let cluster_bytes = superblock.block_size_bytes() * superblock.blocks_per_cluster();
        values.iter().map(|&(_, length)| u64::from(length).div_ceil(cluster_bytes)).sum()
    }

    fn compare_i_blocks(&mut self, inode: &Inode, clusters: u64) {
        let superblock = &self.filesystem.superblock;
        let block_size = superblock.block_size_bytes();
        let sectors = clusters * superblock.blocks_per_cluster() * (block_size / 512);
        let stored = inode.sectors(block_size);
        if stored != sectors {
            self.damage("inode-blocks", inode.number, format!("i_blocks is {stored} sectors, {sectors} are mapped"));
        }
    }

    fn compare_i_size(&mut self, inode: &Inode, usage: Use, tally: &Tally, attributes: &[Entry], raw: &[u8]) {
        let superblock = &self.filesystem.superblock;
        let block_size = superblock.block_size_bytes();
        let (number, i_size) = (inode.number, inode.i_size);
        if inode.has_inline_data() {
            let Some(rest) = xattr::inline_rest(attributes, raw) else {
                return self.damage("inline-data", number, "it has inline data, but no attribute for it".to_owned());
            };
            let length = inode.i_block.len() + rest.len();
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
            let s_prealloc_dir_blocks = u64::from(byte(superblock.raw(), 0xcd));
            let blocks = i_size / block_size;
            let is_whole = i_size.is_multiple_of(block_size);
            if !is_whole || blocks > tally.end || blocks.saturating_add(s_prealloc_dir_blocks) < tally.end {
                self.damage("inode-size", number, format!("i_size is {i_size}, but it has {} blocks", tally.end));
            }
        } else if matches!(usage, Use::Regular | Use::EaInode)
            && !self.orphans.contains(&number)
            && inode.i_flags & VERITY_FL == 0
            && let Some(last) = tally.last_written
            && i_size < last * block_size
        {
            self.damage("inode-size", number, format!("i_size is {i_size}, but file block {last} is written"));
        } else if matches!(usage, Use::Regular | Use::EaInode) && i_size > max_size(inode, block_size) {
            self.damage("inode-size", number, format!("i_size is {i_size}, more than can be mapped"));
        }
    }

    /// A target ends with a zero byte at `i_size`, and has none before; ciphertext may have any.
    fn symlink(&mut self, inode: &Inode, tally: &Tally) -> Result<(), Fault> {
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

    /// A finding about an inode.
    pub(super) fn damage(&mut self, code: &'static str, number: u32, detail: String) {
        self.findings.push(Finding::damage(code, format!("inode {number}"), detail));
    }

    /// Notes what keeps claims from being complete; a failed read is passed up.
    fn broken(&mut self, fault: Fault) -> Result<(), ProbeError> {
        self.is_space_complete = false;
        self.findings.push(fault.finding()?);
        Ok(())
    }
}

/// The longest file that its map has room for.
fn max_size(inode: &Inode, block_size: u64) -> u64 {
    let pointers = block_size / 4;
    let blocks = if inode.has_extents() { 1 << 32 } else { 12 + pointers + pointers.pow(2) + pointers.pow(3) };
    blocks * block_size - 1
}
