//! Orphans: inodes that were deleted, or were being truncated, while they were open. A mount cleans them up; a database
//! host always has some, so they are counted, and only what is wrong with them is a finding.
//!
//! <https://docs.kernel.org/filesystems/ext4/orphan.html>

use std::collections::HashSet;

use super::fault::Fault;
use super::features::compat;
use super::filesystem::Filesystem;
use super::inode::{FileType, Inode};
use super::orphan_file;
use crate::{Finding, Findings, ProbeError};

/// Orphans looked at, each with one read or more. More than a kernel could keep open.
const MAX_ORPHANS: usize = 1 << 20;

/// The orphans of a filesystem.
#[derive(Debug, Default)]
pub struct Orphans {
    /// Their inode numbers.
    pub inodes: HashSet<u32>,
    /// What is wrong with them.
    pub findings: Findings,
}

/// Walks the chain from `s_last_orphan` and reads the orphan file. Ends at the first inode that comes up twice.
///
/// # Errors
/// [`ProbeError::Io`] where the medium fails.
pub fn orphans(filesystem: &Filesystem<'_>) -> Result<Orphans, ProbeError> {
    let mut orphans = Orphans::default();
    let mut next = filesystem.superblock.s_last_orphan;
    while next != 0 {
        match orphans.add(filesystem, next, "the chain from s_last_orphan") {
            // In the chain, the time of deletion is the number of the next one.
            Ok(inode) => next = inode.i_dtime,
            Err(fault) => {
                orphans.findings.push(fault.finding()?);
                break;
            }
        }
    }
    if filesystem.superblock.has_compat(compat::ORPHAN_FILE) {
        let listed = orphan_file::entries(filesystem, &mut orphans.findings)?;
        for number in listed {
            if let Err(fault) = orphans.add(filesystem, number, "the orphan file") {
                orphans.findings.push(fault.finding()?);
            }
        }
    }
    Ok(orphans)
}

impl Orphans {
    fn add(&mut self, filesystem: &Filesystem<'_>, number: u32, source: &str) -> Result<Inode, Fault> {
        let place = format_args!("inode {number}");
        let superblock = &filesystem.superblock;
        if self.inodes.len() >= MAX_ORPHANS {
            return Err(Fault::unknown("orphans-too-many", place, format!("{source} has more than {MAX_ORPHANS}")));
        }
        if number < superblock.s_first_ino || number > superblock.s_inodes_count {
            let detail =
                format!("{source} has it, but files have {} to {}", superblock.s_first_ino, superblock.s_inodes_count);
            return Err(Fault::damage("orphan-range", place, detail));
        }
        if !self.inodes.insert(number) {
            return Err(Fault::damage("orphan-loop", place, format!("{source} comes to it twice")));
        }
        let inode = filesystem.inode(number)?;
        if inode.file_type().is_none() {
            let detail = format!("{source} has it, but i_mode is {:#o}", inode.i_mode);
            return Err(Fault::damage("orphan-mode", place, detail));
        }
        // One that still has links is there to be truncated.
        let is_truncatable = matches!(inode.file_type(), Some(FileType::Regular | FileType::Directory))
            || (inode.file_type() == Some(FileType::Symlink) && !inode.is_fast_symlink());
        if inode.i_links_count > 0 && !is_truncatable {
            let detail = format!("{source} has it with {} links and mode {:#o}", inode.i_links_count, inode.i_mode);
            self.findings.push(Finding::damage("orphan-links", place.to_string(), detail));
        }
        if !is_in_use(filesystem, number)? {
            let detail = format!("{source} has it, but the inode bitmap says that it is free");
            self.findings.push(Finding::damage("orphan-not-in-use", place.to_string(), detail));
        }
        Ok(inode)
    }
}

fn is_in_use(filesystem: &Filesystem<'_>, number: u32) -> Result<bool, Fault> {
    let Some((group, index)) = filesystem.inode_place(number) else { return Ok(false) };
    Ok(filesystem.inode_bitmap(&filesystem.group(group)?)?.is_set(index))
}
