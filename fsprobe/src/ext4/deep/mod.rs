//! The deep check: every inode in use, every bitmap, counter and directory, held against each other.
//!
//! It streams through the filesystem a group at a time, twice: inode tables first, then the directories found there and
//! the bitmaps. In memory at once, at most: one bit a cluster, half a byte and a bit an inode (both only for groups with
//! something in use), 24 bytes a directory, a few dozen bytes for each file whose link count is not one, each attribute
//! block that is shared, each owner with a quota and each group, and of the longest directory three dozen bytes a block.
//! All of it is in proportion to structures on the volume; no length that the disk supplies is allocated. Where a block
//! is claimed twice, the inode tables are gone through a second time, with as much memory again. It ends, because a block
//! of a block map, and so whatever is below it, is walked through only by the first inode that claims it.
//!
//! Orphans are excluded: their blocks are still allocated and their links are gone, until a mount releases them.

mod bitmaps;
mod connected;
mod content;
mod directories;
mod group_bits;
mod htree;
mod inode_map;
mod inodes;
mod links;
mod metadata;
mod name_hash;
mod owners;
mod quota;
mod sizes;
mod space;

use std::collections::HashSet;

use content::SharedBlocks;
use inode_map::InodeMap;
use links::Links;
use metadata::Metadata;
use owners::Contests;
use quota::Quotas;
use space::Space;

use super::filesystem::Filesystem;
use crate::{Findings, ProbeError};

struct Deep<'f, 'd> {
    filesystem: &'f Filesystem<'d>,
    orphans: &'f HashSet<u32>,
    findings: &'f mut Findings,
    metadata: &'f Metadata,
    space: Space,
    contests: Contests,
    inodes: InodeMap,
    links: Links,
    shared_attributes: SharedBlocks,
    quotas: Quotas,
    /// Every claim is known: what nobody claimed is free.
    is_space_complete: bool,
    /// Every directory was read: what has no name is not connected.
    are_names_complete: bool,
}

/// Checks all of `filesystem`, whose journal was replayed and whose size is at most that of its volume.
///
/// # Errors
/// [`ProbeError::Io`] where the medium fails.
pub(super) fn check(
    filesystem: &Filesystem<'_>,
    orphans: &HashSet<u32>,
    findings: &mut Findings,
) -> Result<(), ProbeError> {
    let metadata = Metadata::of(filesystem, findings);
    let mut deep = Deep::new(filesystem, orphans, &metadata, findings);
    let scanned = deep.scan(filesystem.superblock.groups_count());
    deep.name_owners()?;
    scanned?;
    deep.directories()?;
    deep.connected();
    deep.attributes();
    deep.bitmaps()?;
    deep.quotas()
}

impl<'f, 'd> Deep<'f, 'd> {
    fn new(
        filesystem: &'f Filesystem<'d>,
        orphans: &'f HashSet<u32>,
        metadata: &'f Metadata,
        findings: &'f mut Findings,
    ) -> Self {
        let superblock = &filesystem.superblock;
        let is_complete = !metadata.has_bad_groups();
        Self {
            filesystem,
            orphans,
            findings,
            metadata,
            space: Space::new(superblock, metadata),
            contests: Contests::default(),
            inodes: InodeMap::new(superblock.groups_count(), superblock.s_inodes_per_group),
            links: Links::new(superblock),
            shared_attributes: SharedBlocks::new(),
            quotas: Quotas::new(superblock),
            is_space_complete: is_complete,
            are_names_complete: is_complete,
        }
    }

    /// Reads the inodes of the first `groups` groups.
    fn scan(&mut self, groups: u32) -> Result<(), ProbeError> {
        for (group, descriptor) in self.filesystem.groups().take(groups as usize) {
            match descriptor {
                Ok(descriptor) if !self.metadata.is_bad(group) => self.scan_inodes(&descriptor)?,
                _ => self.inodes.set_unknown(group),
            }
        }
        Ok(())
    }
}
