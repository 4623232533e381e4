//! How often each inode is named, and how the directories hang together.

use std::collections::HashMap;

use super::super::superblock::Superblock;
use super::group_bits::GroupBits;

/// One directory: 24 bytes.
pub(super) struct Directory {
    pub(super) number: u32,
    /// The directory that names it; 0 before one was seen.
    pub(super) parent: u32,
    /// Where its own `..` leads.
    pub(super) dot_dot: u32,
    /// Names seen, `.` and `..` among them.
    pub(super) seen: u32,
    pub(super) i_links_count: u16,
    /// Its map of blocks was sound: its entries can be read.
    pub(super) is_readable: bool,
    /// It has an index, and so may have had more subdirectories than a count has room for.
    pub(super) is_indexed: bool,
}

/// Stored and seen.
#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    pub(super) stored: u64,
    pub(super) seen: u64,
}

/// A bit for each inode that is named once; more only for directories and for files whose count is not one.
pub(super) struct Links {
    /// By number.
    pub(super) directories: Vec<Directory>,
    once: GroupBits,
    others: HashMap<u32, Count>,
    /// Inodes that hold values of extended attributes: references to them.
    pub(super) ea_inodes: HashMap<u32, Count>,
}

impl Links {
    pub(super) fn new(superblock: &Superblock) -> Self {
        Self {
            directories: Vec::new(),
            once: GroupBits::new(superblock.groups_count(), superblock.s_inodes_per_group),
            others: HashMap::new(),
            ea_inodes: HashMap::new(),
        }
    }

    /// Notes what a file that is not a directory says its link count is.
    pub(super) fn expect(&mut self, number: u32, i_links_count: u16) {
        if i_links_count != 1 {
            self.others.insert(number, Count { stored: i_links_count.into(), seen: 0 });
        }
    }

    /// Notes a name of a file that is not a directory, which is inode `index` of `group`.
    pub(super) fn name(&mut self, number: u32, group: u32, index: u32) {
        if let Some(count) = self.others.get_mut(&number) {
            count.seen += 1;
        } else if !self.once.set(group, index) {
            self.others.insert(number, Count { stored: 1, seen: 2 });
        }
    }

    /// Stored and seen links of a file that is not a directory.
    pub(super) fn count(&self, number: u32, group: u32, index: u32) -> Count {
        let seen = u64::from(self.once.is_set(group, index));
        self.others.get(&number).copied().unwrap_or(Count { stored: 1, seen })
    }

    pub(super) fn directory_index(&self, number: u32) -> Option<usize> {
        self.directories.binary_search_by_key(&number, |directory| directory.number).ok()
    }

    pub(super) fn directory(&mut self, number: u32) -> Option<&mut Directory> {
        let index = self.directory_index(number)?;
        self.directories.get_mut(index)
    }
}
