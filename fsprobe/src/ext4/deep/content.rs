//! What an inode holds: attributes and blocks, each claimed.

use std::collections::HashMap;

use super::super::fault::Fault;
use super::super::inode::{ENCRYPT_FL, Inode};
use super::super::piece::Piece;
use super::super::xattr::{self, Entry};
use super::Deep;
use super::inode_map::Use;
use super::inodes::BAD_BLOCKS_INODE;
use super::space::Tally;
use crate::Finding;

const RESIZE_INODE: u32 = 7;
/// `i_mode` of a regular file, which the list of bad blocks is without saying so.
const REGULAR: u16 = 0x8000;

/// A block of attributes that more than one inode uses.
pub(super) struct Shared {
    h_refcount: u32,
    seen: u32,
    told: Told,
}

/// What attributes tell of the inode whose they are.
#[derive(Clone)]
struct Told {
    /// Values that inodes of their own hold: the number of each, and its length.
    large_values: Vec<(u32, u32)>,
    has_encryption_context: bool,
}

impl Told {
    fn by(entries: &[Entry<'_>]) -> Self {
        let in_inodes = entries.iter().filter(|entry| entry.e_value_inum != 0);
        Self {
            large_values: in_inodes.map(|entry| (entry.e_value_inum, entry.e_value_size)).collect(),
            has_encryption_context: entries.iter().any(Entry::is_encryption_context),
        }
    }
}

/// Blocks that several inodes use, by number; those with one user need no memory.
pub(super) type SharedBlocks = HashMap<u64, Shared>;

impl Deep<'_, '_> {
    /// Its attributes and blocks, and the sizes that follow from them. Ends at the first thing that is wrong with its map.
    pub(super) fn content(&mut self, inode: &Inode, raw: &[u8], usage: Use) -> Result<(), Fault> {
        let number = inode.number;
        let attributes = xattr::in_inode(inode, raw)?;
        let mut tally = Tally::default();
        let Told { mut large_values, mut has_encryption_context } = Told::by(&attributes);
        self.refer_to_ea_inodes(&large_values);
        if inode.i_file_acl != 0 {
            let told = self.attribute_block(inode, &mut tally)?;
            large_values.extend(told.large_values);
            has_encryption_context |= told.has_encryption_context;
        }
        if inode.i_flags & ENCRYPT_FL != 0 && !has_encryption_context {
            let detail = "it is encrypted, but has no attribute that says how".to_owned();
            self.damage("encryption-context", number, detail);
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
            self.compare_i_blocks(inode, tally.clusters + self.value_clusters(&large_values));
        }
        self.compare_i_size(inode, usage, &tally, &attributes);
        if usage == Use::Symlink && !inode.has_inline_data() {
            self.symlink(inode, &tally)?;
        }
        if !matches!(usage, Use::Internal | Use::EaInode) {
            self.quotas.charge(inode, raw, large_values.len(), self.filesystem.superblock.block_size_bytes());
        }
        Ok(())
    }

    fn claim_blocks(&mut self, inode: &Inode, tally: &mut Tally) -> Result<(), Fault> {
        let (space, metadata) = (&mut self.space, self.metadata);
        let owner = inode.number;
        self.filesystem.walk_blocks(inode, &mut |piece| space.claim_piece(owner, piece, tally, metadata))
    }

    /// The resize inode maps the room that is kept for more descriptors, which is the filesystem's own already: only the
    /// block of pointers that leads there is its own.
    fn claim_resize_inode(&mut self, inode: &Inode, tally: &mut Tally) -> Result<(), Fault> {
        let (space, metadata) = (&mut self.space, self.metadata);
        let superblock = &self.filesystem.superblock;
        // What it maps in other groups is as far from their start as in group 0, where the superblock may come after a
        // boot block that they do not have (bigalloc with blocks of 1 KiB).
        let boot_blocks = superblock.primary_block().saturating_sub(superblock.group_first_block(0));
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
            if metadata.contains(block) || metadata.contains(block.saturating_sub(boot_blocks)) {
                return Ok(());
            }
            let detail = format!("block {block} is not in the room for group descriptors");
            Err(Fault::damage("resize-inode", format_args!("inode {RESIZE_INODE}"), detail))
        })
    }

    /// What the block of attributes tells, shared or not.
    fn attribute_block(&mut self, inode: &Inode, tally: &mut Tally) -> Result<Told, Fault> {
        let block = inode.i_file_acl;
        if let Some(shared) = self.shared_attributes.get_mut(&block) {
            shared.seen = shared.seen.saturating_add(1);
            tally.clusters += 1;
            return Ok(shared.told.clone());
        }
        if !self.filesystem.contains(block, 1) {
            let count = self.filesystem.superblock.s_blocks_count;
            let detail = format!("its attributes are in block {block}, of {count}");
            return Err(Fault::damage("xattr-range", format_args!("inode {}", inode.number), detail));
        }
        self.space.claim_block(inode.number, block, tally, self.metadata)?;
        let attributes = self.filesystem.attribute_block(inode)?;
        let entries = attributes.entries()?;
        if let Some(entry) = entries.iter().find(|entry| entry.e_name_index == 0) {
            let detail = format!("the attribute `{}` has e_name_index 0", entry.name.escape_ascii());
            self.findings.push(Finding::damage("xattr-entry", format!("attribute block {block}"), detail));
        }
        let told = Told::by(&entries);
        self.refer_to_ea_inodes(&told.large_values);
        let h_refcount = attributes.h_refcount;
        if h_refcount > 1 {
            self.shared_attributes.insert(block, Shared { h_refcount, seen: 1, told: told.clone() });
        }
        Ok(told)
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

    /// Blocks of attributes are used as often as they say.
    pub(super) fn attributes(&mut self) {
        if !self.is_space_complete {
            return;
        }
        let mut blocks: Vec<_> = self.shared_attributes.iter().collect();
        blocks.sort_unstable_by_key(|(block, _)| **block);
        for (block, shared) in blocks {
            if shared.h_refcount != shared.seen {
                let detail = format!("h_refcount is {}, {} inodes use it", shared.h_refcount, shared.seen);
                self.findings.push(Finding::damage("xattr-refcount", format!("attribute block {block}"), detail));
            }
        }
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
}
