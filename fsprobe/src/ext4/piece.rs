//! What a walk through a file's block map comes by.

/// Consecutive blocks of a file that are consecutive on the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first one's number in the file.
    pub logical_block: u64,
    /// The first one's number in the filesystem.
    pub physical_block: u64,
    /// How many.
    pub length_blocks: u64,
    /// Allocated but never written: it reads as zeros.
    pub is_unwritten: bool,
}

/// What a walk through an inode's block map comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A block of the map itself: an extent tree node below the root, or an indirect block.
    Map(u64),
    /// Blocks of data.
    Data(Run),
}
