//! What fast commits do to a filesystem: records turned into the blocks that a replay would write.
//!
//! A full commit holds blocks; a fast commit says what was done, and its replay (`ext4_fc_replay()`) does it again. That is
//! done here, in memory, to what the full commits left. The result is a sound filesystem with the same files, but not the
//! same blocks: the kernel picks other free blocks for extent trees and directories. What it gets wrong itself is done right
//! here, and said: see [`Troubles`].

mod directory;
mod inode;
mod mapping;
mod space;
mod writes;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use self::directory::{Change, Directory, Names};
use self::inode::{Edited, unfollowed};
use self::mapping::Mapping;
use self::space::Space;
use self::writes::Writes;
use super::block_runs::Run;
use super::fault::Fault;
use super::features::{incompat, ro_compat};
use super::inode::{ENCRYPT_FL, INDEX_FL};
use super::journal::{Name, Record};
use super::{FileType, Filesystem};
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
        if self.load(inode)?.is_in_use {
            let edited = self.load(inode)?.inode(filesystem);
            if !edited.maps_blocks() || !edited.has_extents() {
                return Err(unfollowed(inode, "a fast commit gives it blocks, but it is not mapped by extents"));
            }
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

    fn finish(mut self) -> Result<BTreeMap<u64, Vec<u8>>, Fault> {
        self.delete_unlinked()?;
        self.mark_blocks()?;
        for (number, names) in std::mem::take(&mut self.directories) {
            self.change_directory(number, names)?;
        }
        for number in self.inodes.keys().copied().collect::<Vec<_>>() {
            self.finish_inode(number)?;
        }
        self.space.write(&mut self.writes)?;
        Ok(self.writes.into_blocks())
    }

    /// Deletes what lost its last name while it was open: whoever had it open is gone.
    fn delete_unlinked(&mut self) -> Result<(), Fault> {
        for edited in self.inodes.values_mut() {
            if edited.is_in_use && edited.links() == 0 && !edited.was_orphan() {
                edited.delete(self.filesystem, &mut self.runs_left)?;
            }
        }
        Ok(())
    }

    /// Frees what files had, then takes what they have: a block may go from one to another. Blocks of trees are free from
    /// here on: each tree that may have changed is written anew.
    fn mark_blocks(&mut self) -> Result<(), Fault> {
        for (before, _) in self.inodes.values().filter_map(Edited::mappings) {
            for run in before.runs() {
                self.space.set_blocks(run.physical_block, run.length_blocks, false)?;
            }
            for &block in &before.tree {
                self.space.set_blocks(block, 1, false)?;
            }
        }
        for (_, now) in self.inodes.values().filter_map(Edited::mappings) {
            for run in now.runs() {
                self.space.set_blocks(run.physical_block, run.length_blocks, true)?;
            }
        }
        Ok(())
    }

    fn change_directory(&mut self, number: u32, names: Names) -> Result<(), Fault> {
        let filesystem = self.filesystem;
        let Some(edited) = self.inodes.get(&number).filter(|it| it.is_in_use) else { return Ok(()) };
        let inode = edited.inode(filesystem);
        let parent = edited.parent;
        if inode.file_type() != Some(FileType::Directory) {
            let detail = format!("a fast commit changes names in it, but its mode is {:#o}", inode.i_mode);
            return Err(Fault::damage("fast-commit-directory", format_args!("inode {number}"), detail));
        }
        if inode.has_inline_data() || inode.i_flags & (ENCRYPT_FL | super::inode::CASEFOLD_FL) != 0 {
            return Err(unfollowed(
                number,
                "names change in a directory that is encrypted, casefolded or in its inode",
            ));
        }
        let added = names.values().filter_map(|change| change.added);
        let types: BTreeMap<u32, u8> = added
            .filter_map(|number| {
                let edited = self.inodes.get(&number).filter(|it| it.is_in_use)?;
                Some((number, dirent_type(&edited.inode(filesystem))))
            })
            .collect();
        let mut directory = Directory {
            filesystem,
            inode: inode.clone(),
            writes: &mut self.writes,
            blocks: Vec::new(),
            directories: 0,
        };
        let Some(edited) = self.inodes.get_mut(&number) else { return Ok(()) };
        let mapping = edited.mapping(filesystem, &mut self.runs_left)?;
        directory.blocks = directory::blocks_in_order(number, mapping.runs())?;
        let mapped = directory.blocks.len();
        if let Some(parent) = parent
            && mapped == 0
        {
            let block = self.space.allocate()?;
            let first = directory.first_block(parent);
            directory.writes.write(block, first)?;
            directory.blocks.push(block);
        }
        directory.change(names, &types, &mut || self.space.allocate())?;
        let (blocks, directories) = (directory.blocks, directory.directories);
        for (index, &physical_block) in blocks.iter().enumerate().skip(mapped) {
            mapping.insert(Run { logical_block: index as u64, physical_block, length_blocks: 1, is_unwritten: false });
        }
        // With dir_nlink, more than fit are one.
        edited.set_links(u16::try_from(directories + 2).ok().filter(|&links| links < 65_000).unwrap_or(1));
        edited.set_size(blocks.len() as u64 * filesystem.superblock.block_size_bytes());
        edited.set_flags(inode.i_flags & !INDEX_FL);
        Ok(())
    }

    /// Writes an inode, and its tree where what it maps has changed.
    fn finish_inode(&mut self, number: u32) -> Result<(), Fault> {
        let filesystem = self.filesystem;
        let Some(edited) = self.inodes.get_mut(&number) else { return Ok(()) };
        if !edited.is_in_use && edited.before.is_none() {
            return Ok(());
        }
        if !edited.is_in_use && edited.was_orphan() {
            return Err(unfollowed(
                number,
                "it was an orphan, and its number was used again, for a file that was deleted",
            ));
        }
        let was_directory = edited.before.as_ref().is_some_and(|it| it.file_type() == Some(FileType::Directory));
        let directories = i32::from(edited.is_directory(filesystem)) - i32::from(was_directory);
        self.space.set_inode(number, edited.is_in_use, directories)?;
        let i_block = edited.plant(filesystem, &mut self.space, &mut self.writes)?;
        let raw = edited.finish(filesystem, i_block).to_vec();
        self.writes.patch(filesystem.inode_offset_bytes(number)?, &raw)
    }
}

fn dirent_type(inode: &super::Inode) -> u8 {
    match inode.file_type() {
        Some(FileType::Regular) => 1,
        Some(FileType::Directory) => directory::TYPE_DIRECTORY,
        Some(FileType::CharacterDevice) => 3,
        Some(FileType::BlockDevice) => 4,
        Some(FileType::Fifo) => 5,
        Some(FileType::Socket) => 6,
        Some(FileType::Symlink) => 7,
        None => 0,
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
