//! Blocks of the journal by their number in it.

use super::super::fault::Fault;
use super::super::fields::put;
use super::super::filesystem::Filesystem;
use super::super::piece::Run;
use super::superblock::{CHECKSUM_OFFSET, JournalSuperblock, SEQUENCE_OFFSET, START_OFFSET, checksum_of};

/// Pieces that a journal may be in: mke2fs makes it of a few; 24 MiB at most.
const MAX_RUNS: usize = 1 << 20;

/// An internal journal: an inode whose blocks are a ring after its superblock.
pub struct Log<'f, 'd> {
    filesystem: &'f Filesystem<'d>,
    runs: Vec<Run>,
    /// Its validated superblock.
    pub superblock: JournalSuperblock,
}

impl<'f, 'd> Log<'f, 'd> {
    /// Finds the journal of `filesystem` by `s_journal_inum`.
    ///
    /// # Errors
    /// `journal-inode` and those of [`Filesystem::inode`], [`Filesystem::runs`] and [`JournalSuperblock::parse`].
    pub fn open(filesystem: &'f Filesystem<'d>) -> Result<Self, Fault> {
        let number = filesystem.superblock.s_journal_inum;
        let place = format_args!("journal inode {number}");
        let inode = filesystem.inode(number)?;
        if inode.i_links_count == 0 || inode.file_type() != Some(super::super::FileType::Regular) {
            let detail = format!("i_mode is {:#o}, i_links_count {}", inode.i_mode, inode.i_links_count);
            return Err(Fault::damage("journal-inode", place, detail));
        }
        let runs = filesystem.runs(&inode, MAX_RUNS)?;
        let block_size = filesystem.superblock.block_size_bytes();
        let Some(first) = physical(&runs, 0) else {
            return Err(Fault::damage("journal-inode", place, "it has no first block"));
        };
        let superblock = JournalSuperblock::parse(&filesystem.read_block(first, "journal superblock")?, block_size)?;
        if u64::from(superblock.s_maxlen) > inode.i_size / block_size {
            let detail =
                format!("s_maxlen is {} blocks, the inode has {}", superblock.s_maxlen, inode.i_size / block_size);
            return Err(Fault::damage("journal-superblock-geometry", "journal superblock", detail));
        }
        Ok(Self { filesystem, runs, superblock })
    }

    /// The filesystem it belongs to.
    pub(super) fn filesystem(&self) -> &'f Filesystem<'d> {
        self.filesystem
    }

    /// Where in the filesystem block `number` of the journal is.
    ///
    /// # Errors
    /// `journal-hole`: it is nowhere.
    pub fn physical_block(&self, number: u32) -> Result<u64, Fault> {
        physical(&self.runs, number.into()).filter(|_| number < self.superblock.s_maxlen).ok_or_else(|| {
            let detail = format!("the journal inode has no such block, and s_maxlen is {}", self.superblock.s_maxlen);
            Fault::damage("journal-hole", format_args!("journal block {number}"), detail)
        })
    }

    /// Block `number` of the journal.
    ///
    /// # Errors
    /// As [`Log::physical_block`], or that of reading.
    pub fn read(&self, number: u32) -> Result<Vec<u8>, Fault> {
        self.filesystem.read_block(self.physical_block(number)?, format_args!("journal block {number}"))
    }

    /// Where the journal superblock is, and what it is once everything before transaction `next_sequence` was replayed.
    ///
    /// # Errors
    /// That of reading.
    pub(in super::super) fn emptied_superblock(&self, next_sequence: u32) -> Result<(u64, Vec<u8>), Fault> {
        let block = self.physical_block(0)?;
        let mut bytes = self.read(0)?;
        put(&mut bytes, SEQUENCE_OFFSET, &next_sequence.wrapping_add(1).to_be_bytes());
        put(&mut bytes, START_OFFSET, &[0; 4]);
        if self.superblock.has_block_tails() {
            let checksum = checksum_of(&bytes);
            put(&mut bytes, CHECKSUM_OFFSET, &checksum.to_be_bytes());
        }
        Ok((block, bytes))
    }

    /// The block `distance` after `number` in the ring.
    #[must_use]
    pub fn advance(&self, number: u32, distance: u32) -> u32 {
        let (first, end) = (u64::from(self.superblock.s_first), u64::from(self.superblock.log_end()));
        // parse() saw to it that the ring has a length.
        let offset = (u64::from(number) - first + u64::from(distance)) % (end - first);
        u32::try_from(first + offset).unwrap_or(u32::MAX)
    }

    /// Blocks in the ring.
    #[must_use]
    pub fn ring_blocks(&self) -> u32 {
        self.superblock.log_end() - self.superblock.s_first
    }
}

fn physical(runs: &[Run], logical_block: u64) -> Option<u64> {
    let after = runs.partition_point(|run| run.logical_block <= logical_block);
    let run = runs.get(after.checked_sub(1)?)?;
    let offset = logical_block - run.logical_block;
    (offset < run.length_blocks && !run.is_unwritten).then_some(run.physical_block + offset)
}
