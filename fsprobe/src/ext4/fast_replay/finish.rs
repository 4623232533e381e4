//! From what has changed to the blocks that say so.

use std::collections::BTreeMap;

use super::FastReplay;
use super::directory::{self, Directory, Names};
use super::inode::{Edited, unfollowed};
use crate::ext4::fault::Fault;
use crate::ext4::inode::{CASEFOLD_FL, ENCRYPT_FL, INDEX_FL};
use crate::ext4::{FileType, Run};

impl FastReplay<'_, '_> {
    /// The blocks that are different then.
    pub(super) fn finish(mut self) -> Result<BTreeMap<u64, Vec<u8>>, Fault> {
        self.delete_unlinked()?;
        // Before blocks are marked: any of them may grow, and have its tree written anew.
        for number in self.directories.keys().copied().collect::<Vec<_>>() {
            self.mapping(number)?;
        }
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
        if inode.has_inline_data() || inode.i_flags & (ENCRYPT_FL | CASEFOLD_FL) != 0 {
            return Err(unfollowed(
                number,
                "names change in a directory that is encrypted, casefolded or in its inode",
            ));
        }
        let added = names.values().filter_map(|change| change.added);
        let types: BTreeMap<u32, u8> = added
            .filter_map(|number| {
                let edited = self.inodes.get(&number).filter(|it| it.is_in_use)?;
                Some((number, edited.inode(filesystem).file_type().map_or(0, |file_type| file_type as u8)))
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
