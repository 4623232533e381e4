//! What each inode is: half a byte for each.

use super::super::inode::FileType;

/// What an inode is to the names and counters of the filesystem. The first eight are the codes of `file_type` in a
/// directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Use {
    Free = 0,
    Regular = FileType::Regular as u8,
    Directory = FileType::Directory as u8,
    CharacterDevice = FileType::CharacterDevice as u8,
    BlockDevice = FileType::BlockDevice as u8,
    Fifo = FileType::Fifo as u8,
    Socket = FileType::Socket as u8,
    Symlink = FileType::Symlink as u8,
    /// The value of an extended attribute: it has no name.
    EaInode = 8,
    /// Deleted while open: it has no name and its blocks are still allocated.
    Orphan = 9,
    OrphanDirectory = 10,
    /// The filesystem's own: journal, quota and so on, all without a name.
    Internal = 11,
    /// In use, with a mode that says nothing.
    BadMode = 12,
    /// Its inode table could not be read.
    Unknown = 13,
}

impl Use {
    const ALL: [Self; 14] = [
        Self::Free,
        Self::Regular,
        Self::Directory,
        Self::CharacterDevice,
        Self::BlockDevice,
        Self::Fifo,
        Self::Socket,
        Self::Symlink,
        Self::EaInode,
        Self::Orphan,
        Self::OrphanDirectory,
        Self::Internal,
        Self::BadMode,
        Self::Unknown,
    ];

    pub(super) fn of(file_type: FileType) -> Self {
        match file_type {
            FileType::Fifo => Self::Fifo,
            FileType::CharacterDevice => Self::CharacterDevice,
            FileType::Directory => Self::Directory,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Regular => Self::Regular,
            FileType::Symlink => Self::Symlink,
            FileType::Socket => Self::Socket,
        }
    }

    /// A file that a directory has to name.
    pub(super) fn is_named(self) -> bool {
        (1..=7).contains(&(self as u8))
    }

    pub(super) fn is_directory(self) -> bool {
        matches!(self, Self::Directory | Self::OrphanDirectory)
    }
}

/// The [`Use`] of every inode, in memory only for groups that have one in use.
pub(super) struct InodeMap {
    groups: Vec<Option<Box<[u8]>>>,
    inodes_per_group: u32,
}

impl InodeMap {
    pub(super) fn new(groups: u32, inodes_per_group: u32) -> Self {
        let mut empty = Vec::new();
        empty.resize_with(groups as usize, || None);
        Self { groups: empty, inodes_per_group }
    }

    pub(super) fn set(&mut self, group: u32, index: u32, usage: Use) {
        let bytes = self.inodes_per_group.div_ceil(2) as usize;
        let Some(slot) = self.groups.get_mut(group as usize) else { return };
        let uses = slot.get_or_insert_with(|| vec![0; bytes].into_boxed_slice());
        if let Some(byte) = uses.get_mut(index as usize / 2) {
            let shift = index % 2 * 4;
            *byte = *byte & !(0xf << shift) | (usage as u8) << shift;
        }
    }

    pub(super) fn set_unknown(&mut self, group: u32) {
        (0..self.inodes_per_group).for_each(|index| self.set(group, index, Use::Unknown));
    }

    pub(super) fn get(&self, group: u32, index: u32) -> Use {
        let uses = self.groups.get(group as usize).and_then(Option::as_deref);
        let byte = uses.and_then(|uses| uses.get(index as usize / 2)).copied().unwrap_or(0);
        Use::ALL.get(usize::from(byte >> (index % 2 * 4) & 0xf)).copied().unwrap_or(Use::Unknown)
    }

    /// The index and use of each inode of `group` that is not free.
    pub(super) fn in_use(&self, group: u32) -> impl Iterator<Item = (u32, Use)> + '_ {
        let has_any = self.groups.get(group as usize).is_some_and(Option::is_some);
        let indices = if has_any { 0..self.inodes_per_group } else { 0..0 };
        indices.map(move |index| (index, self.get(group, index))).filter(|(_, usage)| *usage != Use::Free)
    }
}
