//! What fast commits do to a filesystem: records turned into the blocks that a replay would write.
//!
//! A full commit holds blocks; a fast commit says what was done, and its replay (`ext4_fc_replay()`) does it again. That is
//! done here, in memory, to what the full commits left. The result is a sound filesystem with the same files, but not the
//! same blocks: the kernel picks other free blocks for extent trees and directories. What it gets wrong itself is done right
//! here, and said: see [`Troubles`].

mod directory;
mod finish;
mod inode;
mod mapping;
mod space;
mod writes;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use self::directory::{Change, Names};
use self::inode::{Edited, unfollowed};
use self::mapping::Mapping;
use self::space::Space;
use self::writes::Writes;
use super::Filesystem;
use super::fault::Fault;
use super::features::{incompat, ro_compat};
use super::journal::{Name, Record};
use super::piece::Run;
use crate::Finding;

/// Pieces that all files may be in that are changed.
const MAX_RUNS: usize = 1 << 20;

/// What a replay of fast commits would do.
#[derive(Debug)]
pub(super) struct Replayed {
    /// Blocks as they are then.
    pub(super) blocks: BTreeMap<u64, Vec<u8>>,
    /// What the kernel would do otherwise.
    pub(super) remarks: Vec<Finding>,
}

/// Works out what `records` do to `filesystem`, whose full commits were replayed.
///
/// # Errors
/// `fast-commits-not-replayed`, `fast-commit-too-large` and others where it cannot be told what they do; a finding of what
/// is damaged where they come by it; those of reading.
pub(super) fn replay(filesystem: &Filesystem<'_>, records: &[Record]) -> Result<Replayed, Fault> {
    let superblock = &filesystem.superblock;
    let is_followed = !superblock.has_ro_compat(ro_compat::BIGALLOC)
        && !superblock.has_incompat(incompat::EA_INODE)
        && superblock.has_incompat(incompat::FILETYPE);
    if !is_followed {
        let detail = "they are not replayed where there is bigalloc or ea_inode, nor without filetype";
        return Err(Fault::unknown("fast-commits-not-replayed", "journal", detail));
    }
    let mut replay = FastReplay {
        filesystem,
        space: Space::new(filesystem),
        writes: Writes::new(filesystem),
        inodes: BTreeMap::new(),
        directories: BTreeMap::new(),
        runs_left: MAX_RUNS,
        troubles: Troubles::default(),
    };
    for record in records {
        replay.apply(record)?;
    }
    let remarks = replay.troubles.remarks();
    Ok(Replayed { blocks: replay.finish()?, remarks })
}

/// All that changes.
struct FastReplay<'f, 'd> {
    filesystem: &'f Filesystem<'d>,
    space: Space<'f, 'd>,
    writes: Writes<'f, 'd>,
    inodes: BTreeMap<u32, Edited>,
    directories: BTreeMap<u32, Names>,
    runs_left: usize,
    troubles: Troubles,
}

impl FastReplay<'_, '_> {
    fn apply(&mut self, record: &Record) -> Result<(), Fault> {
        match record {
            Record::Inode { inode, fields } => {
                let filesystem = self.filesystem;
                let edited = self.load(*inode)?;
                if edited.is_replaced_by(fields) {
                    self.delete(*inode)?;
                }
                let edited = self.load(*inode)?;
                edited.set_fields(filesystem, fields)?;
                self.troubles.deleted_open += u32::from(edited.links() == 0);
                Ok(())
            }
            Record::AddRange { inode, run } => self.add_range(*inode, *run),
            Record::DeleteRange { inode, first_block, length_blocks } => {
                if let Some(mapping) = self.mapping(*inode)? {
                    mapping.remove(*first_block, *length_blocks);
                }
                Ok(())
            }
            Record::Create(name) => {
                let filesystem = self.filesystem;
                let edited = self.load(name.inode)?;
                if edited.is_directory(filesystem) {
                    edited.parent = Some(name.directory);
                    self.troubles.directories += 1;
                    self.directories.entry(name.inode).or_default();
                }
                self.change(name)?.added = Some(name.inode);
                Ok(())
            }
            Record::Link(name) => {
                let edited = self.load(name.inode)?;
                edited.set_links(edited.links().saturating_add(1));
                self.change(name)?.added = Some(name.inode);
                Ok(())
            }
            Record::Unlink(name) => {
                let filesystem = self.filesystem;
                let change = self.change(name)?;
                change.removed.insert(name.inode);
                if change.added == Some(name.inode) {
                    change.added = None;
                }
                let edited = self.load(name.inode)?;
                // A directory has one name only.
                let is_directory = edited.is_directory(filesystem);
                if edited.is_in_use && (edited.links() <= 1 || is_directory) {
                    self.troubles.directories += u32::from(is_directory);
                    return self.delete(name.inode);
                }
                edited.set_links(edited.links().saturating_sub(1));
                Ok(())
            }
        }
    }

    fn delete(&mut self, inode: u32) -> Result<(), Fault> {
        // What was to happen to its names has happened with it.
        self.directories.remove(&inode);
        let filesystem = self.filesystem;
        match self.inodes.get_mut(&inode) {
            Some(edited) => edited.delete(filesystem, &mut self.runs_left),
            None => Ok(()),
        }
    }

    fn add_range(&mut self, inode: u32, run: Run) -> Result<(), Fault> {
        let place = format_args!("inode {inode}");
        if run.length_blocks == 0
            || run.physical_block == 0
            || !self.filesystem.contains(run.physical_block, run.length_blocks)
            || run.logical_block + run.length_blocks > u64::from(u32::MAX)
        {
            let detail = format!(
                "a fast commit maps file blocks {} + {} to block {}",
                run.logical_block, run.length_blocks, run.physical_block
            );
            return Err(Fault::damage("fast-commit-range", place, detail));
        }
        let filesystem = self.filesystem;
        let edited = self.load(inode)?;
        let it = edited.inode(filesystem);
        if edited.is_in_use && !(it.maps_blocks() && it.has_extents()) {
            return Err(unfollowed(inode, "a fast commit gives it blocks, but it is not mapped by extents"));
        }
        if let Some(mapping) = self.mapping(inode)? {
            mapping.insert(run);
        }
        Ok(())
    }

    /// What happens to a name.
    fn change(&mut self, name: &Name) -> Result<&mut Change, Fault> {
        self.load(name.directory)?;
        Ok(self.directories.entry(name.directory).or_default().entry(name.name.clone()).or_default())
    }

    /// What a file that is in use maps.
    fn mapping(&mut self, inode: u32) -> Result<Option<&mut Mapping>, Fault> {
        let filesystem = self.filesystem;
        self.load(inode)?;
        match self.inodes.get_mut(&inode).filter(|it| it.is_in_use) {
            Some(edited) => edited.mapping(filesystem, &mut self.runs_left).map(Some),
            None => Ok(None),
        }
    }

    fn load(&mut self, number: u32) -> Result<&mut Edited, Fault> {
        if number == self.filesystem.superblock.s_journal_inum {
            return Err(Fault::damage("fast-commit-inode", format_args!("inode {number}"), "it is the journal"));
        }
        match self.inodes.entry(number) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let is_used = self.space.is_inode_used(number)?;
                Ok(entry.insert(Edited::load(self.filesystem, number, is_used)?))
            }
        }
    }
}

/// Where the kernel's own replay goes wrong (measured with Linux 6.18), and that of e2fsprogs (1.47).
#[derive(Debug, Default)]
struct Troubles {
    /// Directories that were made or removed.
    directories: u32,
    /// Records of files without links: deleted while they were open.
    deleted_open: u32,
}

impl Troubles {
    fn remarks(&self) -> Vec<Finding> {
        let mut remarks = Vec::new();
        if self.deleted_open > 0 {
            let detail = format!(
                "{} records are of files that were deleted while they were open: Linux refuses to mount that \
                 (\"Structure needs cleaning\"); e2fsck -fp replays and mends it",
                self.deleted_open
            );
            remarks.push(Finding::warning("fast-commit-deleted-inode", "journal", detail));
        }
        if self.directories > 0 {
            let detail = format!(
                "{} directories are made or removed: a replay by Linux leaves wrong link counts behind, one by e2fsck \
                 can lose the directory",
                self.directories
            );
            remarks.push(Finding::warning("fast-commit-directories", "journal", detail));
        }
        remarks
    }
}
