//! The journal's superblock, its first block.
//!
//! <https://docs.kernel.org/filesystems/ext4/journal.html#super-block>; 1024 bytes, big-endian.

use super::super::checksum::{crc32c_le, crc32c_without};
use super::super::fault::Fault;
use super::super::fields::{array, be32, byte};
use super::MAGIC;

/// Where in it `s_sequence` is.
pub(super) const SEQUENCE_OFFSET: usize = 0x18;
/// Where in it `s_start` is.
pub(super) const START_OFFSET: usize = 0x1c;
/// Where in it `s_checksum` is.
pub(super) const CHECKSUM_OFFSET: usize = 0xfc;
const SIZE_BYTES: usize = 1024;
const PLACE: &str = "journal superblock";

const COMPAT_CHECKSUM: u32 = 1;
const INCOMPAT_64BIT: u32 = 0x2;
const INCOMPAT_ASYNC_COMMIT: u32 = 0x4;
const INCOMPAT_CSUM_V2: u32 = 0x8;
const INCOMPAT_CSUM_V3: u32 = 0x10;
const INCOMPAT_FAST_COMMIT: u32 = 0x20;
const INCOMPAT_KNOWN: u32 = 0x3f;
const CHECKSUM_TYPE_CRC32C: u8 = 4;
/// Blocks that fast commits have where `s_num_fc_blks` is 0.
const DEFAULT_FAST_COMMIT_BLOCKS: u32 = 256;
/// The log proper has to keep this many.
const MIN_LOG_BLOCKS: u32 = 1024;

/// How the log's blocks are checksummed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumVersion {
    /// Not at all.
    None,
    /// A CRC-32 over a whole transaction, in its commit block.
    V1,
    /// CRC-32C of each of the journal's own blocks, and 16 bits of it for each data block.
    V2,
    /// As version 2, with 32 bits for each data block.
    V3,
}

/// A validated journal superblock. Fields keep the kernel's names.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // The fields are those of the page linked above.
pub struct JournalSuperblock {
    pub s_blocksize: u32,
    pub s_maxlen: u32,
    pub s_first: u32,
    /// The first transaction that a replay expects.
    pub s_sequence: u32,
    /// The journal block it begins at; 0 is an empty journal.
    pub s_start: u32,
    /// Set where the kernel aborted the journal.
    pub s_errno: i32,
    pub s_feature_compat: u32,
    pub s_feature_incompat: u32,
    pub s_uuid: [u8; 16],
    pub s_num_fc_blks: u32,
}

impl JournalSuperblock {
    /// Reads and validates `block`, as `jbd2_journal_load` does.
    ///
    /// # Errors
    /// `journal-superblock-*`; `journal-unknown-feature` (not damage: nothing can be said about such a journal).
    pub fn parse(block: &[u8], block_size_bytes: u64) -> Result<Self, Fault> {
        let version = be32(block, 4);
        if be32(block, 0) != MAGIC || !(version == 3 || version == 4) {
            let detail = format!("h_magic is {:#x}, h_blocktype {version}", be32(block, 0));
            return Err(Fault::damage("journal-superblock-magic", PLACE, detail));
        }
        // A version 1 superblock ends before the features.
        let later = if version == 4 { block } else { &[] };
        let superblock = Self {
            s_blocksize: be32(block, 0xc),
            s_maxlen: be32(block, 0x10),
            s_first: be32(block, 0x14),
            s_sequence: be32(block, 0x18),
            s_start: be32(block, 0x1c),
            s_errno: be32(block, 0x20).cast_signed(),
            s_feature_compat: be32(later, 0x24),
            s_feature_incompat: be32(later, 0x28),
            s_uuid: array(later, 0x30),
            s_num_fc_blks: be32(later, 0x54),
        };
        let unknown = superblock.s_feature_incompat & !INCOMPAT_KNOWN;
        if unknown != 0 || be32(later, 0x2c) != 0 {
            let detail =
                format!("incompatible features {unknown:#x}, read-only ones {:#x} are not known", be32(later, 0x2c));
            return Err(Fault::unknown("journal-unknown-feature", PLACE, detail));
        }
        if matches!(superblock.checksum_version(), ChecksumVersion::V2 | ChecksumVersion::V3) {
            let (stored, computed) = (be32(block, CHECKSUM_OFFSET), checksum_of(block));
            if byte(block, 0x50) != CHECKSUM_TYPE_CRC32C || stored != computed {
                let detail = format!("s_checksum is {stored:#010x}, computed {computed:#010x}");
                return Err(Fault::damage("journal-superblock-checksum", PLACE, detail));
            }
        }
        match superblock.geometry_fault(block_size_bytes) {
            Some(detail) => Err(Fault::damage("journal-superblock-geometry", PLACE, detail)),
            None => Ok(superblock),
        }
    }

    fn geometry_fault(&self, block_size_bytes: u64) -> Option<String> {
        let versions = [
            self.s_feature_compat & COMPAT_CHECKSUM != 0,
            self.s_feature_incompat & INCOMPAT_CSUM_V2 != 0,
            self.s_feature_incompat & INCOMPAT_CSUM_V3 != 0,
        ];
        if versions.into_iter().filter(|&set| set).count() > 1 {
            return Some("more than one checksum version is set".to_owned());
        }
        if u64::from(self.s_blocksize) != block_size_bytes {
            return Some(format!("s_blocksize is {}, the filesystem's is {block_size_bytes}", self.s_blocksize));
        }
        if self.s_first == 0 || self.s_first >= self.log_end() {
            return Some(format!("s_first is {}, the log ends at {}", self.s_first, self.log_end()));
        }
        if self.s_start != 0 && !(self.s_first..self.log_end()).contains(&self.s_start) {
            return Some(format!("s_start is {}, the log is {}..{}", self.s_start, self.s_first, self.log_end()));
        }
        None
    }

    /// The first block after the log proper: the fast-commit area is between it and `s_maxlen`.
    #[must_use]
    pub fn log_end(&self) -> u32 {
        if !self.has_fast_commit() {
            return self.s_maxlen;
        }
        let blocks = if self.s_num_fc_blks == 0 { DEFAULT_FAST_COMMIT_BLOCKS } else { self.s_num_fc_blks };
        match self.s_maxlen.checked_sub(blocks) {
            Some(end) if end >= MIN_LOG_BLOCKS => end,
            _ => self.s_maxlen,
        }
    }

    /// How its blocks are checksummed.
    #[must_use]
    pub fn checksum_version(&self) -> ChecksumVersion {
        if self.s_feature_incompat & INCOMPAT_CSUM_V3 != 0 {
            ChecksumVersion::V3
        } else if self.s_feature_incompat & INCOMPAT_CSUM_V2 != 0 {
            ChecksumVersion::V2
        } else if self.s_feature_compat & COMPAT_CHECKSUM != 0 {
            ChecksumVersion::V1
        } else {
            ChecksumVersion::None
        }
    }

    /// The journal's own blocks end in a checksum.
    pub(super) fn has_block_tails(&self) -> bool {
        matches!(self.checksum_version(), ChecksumVersion::V2 | ChecksumVersion::V3)
    }

    /// Block numbers have 64 bits.
    pub(super) fn is_64bit(&self) -> bool {
        self.s_feature_incompat & INCOMPAT_64BIT != 0
    }

    /// Commit blocks may have reached the disk before what they commit.
    pub(super) fn has_async_commit(&self) -> bool {
        self.s_feature_incompat & INCOMPAT_ASYNC_COMMIT != 0
    }

    /// The end of the journal is an area of fast commits.
    #[must_use]
    pub fn has_fast_commit(&self) -> bool {
        self.s_feature_incompat & INCOMPAT_FAST_COMMIT != 0
    }

    /// What the checksums of version 2 and 3 begin with.
    pub(super) fn checksum_seed(&self) -> u32 {
        crc32c_le(!0, &self.s_uuid)
    }
}

/// The checksum that a journal superblock's bytes should carry.
pub(super) fn checksum_of(block: &[u8]) -> u32 {
    crc32c_without(!0, block.get(..SIZE_BYTES).unwrap_or(block), CHECKSUM_OFFSET, 4)
}
