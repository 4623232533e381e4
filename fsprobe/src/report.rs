//! The result of a check, as `stillpoint check --json` prints it.

use serde::Serialize;

use crate::{Finding, Kind, Table, Verdict};

/// What a check found, in the names of `stillpoint check --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was checked, as the user named it: for the caller to fill in.
    pub target: String,
    /// Length of the disk.
    pub size_bytes: u64,
    /// The unit of its table.
    pub sector_size_bytes: u32,
    /// The partition table that counts.
    pub table: Table,
    /// The worst of the volumes and of `findings`; volumes of no known content count only if something is wrong with them.
    pub verdict: Verdict,
    /// What was seen of the table.
    pub findings: Vec<Finding>,
    /// Every volume, partitions first.
    pub volumes: Vec<VolumeReport>,
}

/// What was found of one volume.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeReport {
    /// As in [`Volume::path`](crate::Volume::path).
    pub path: String,
    /// Its first byte on the disk; `null` where that is not on this disk.
    pub offset_bytes: Option<u64>,
    /// Its size as its table or volume group says.
    pub size_bytes: u64,
    /// What it holds.
    pub kind: Kind,
    /// The type of its partition, as in [`Volume::partition_type`](crate::Volume::partition_type).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_type: Option<String>,
    /// How far it can be trusted as it is.
    pub verdict: Verdict,
    /// What was seen.
    pub findings: Vec<Finding>,
    /// Journal and orphans, for ext2, ext3 and ext4; `null` for others, and where no superblock can be read.
    pub ext4: Option<Ext4Summary>,
}

/// What the journal and the orphan lists of an ext2, ext3 or ext4 volume say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ext4Summary {
    /// `INCOMPAT_RECOVER`: the superblock says that the journal has to be replayed.
    pub needs_recovery: bool,
    /// `s_start` of the journal superblock, in journal blocks; 0 is an empty journal.
    pub journal_start: u32,
    /// Committed transactions that a replay would apply.
    pub replay_transactions: u32,
    /// Filesystem blocks that a replay would write.
    pub replay_blocks: u64,
    /// Inodes that were deleted while open, of the chain and of the orphan file.
    pub orphans: u32,
    /// `s_error_count`: errors that the kernel has recorded since the last e2fsck.
    pub errors_recorded: u32,
    /// `s_sequence` of the journal superblock: the first transaction that a replay would apply.
    pub journal_sequence: u32,
    /// Fast commits that a replay would apply after the transactions.
    pub fast_commits: u32,
    /// `s_volume_name`, escaped for a terminal.
    pub label: String,
    /// `s_uuid`.
    pub uuid: String,
    /// `s_last_mounted`, escaped for a terminal.
    pub last_mounted: String,
    /// Bytes of a block.
    pub block_size_bytes: u64,
    /// `s_blocks_count`.
    pub blocks: u64,
    /// `s_inodes_count`.
    pub inodes: u32,
    /// The features that are set, in the names of e2fsprogs.
    pub features: Vec<String>,
    /// The first and the last error that the kernel has recorded.
    pub error_record: Option<crate::ext4::ErrorRecord>,
}

/// How thoroughly [`check`](fn@crate::check) looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// Superblocks, journals, orphans: well under a second on any size.
    #[default]
    Default,
    /// Every inode, bitmap and directory as well.
    Deep,
}

/// What the ext4 check of one volume came to.
#[derive(Debug, Clone)]
pub struct Ext4Check {
    /// The worst that `findings` allow.
    pub verdict: Verdict,
    /// What was seen.
    pub findings: Vec<Finding>,
    /// Journal and orphans; `None` where no superblock could be read.
    pub ext4: Option<Ext4Summary>,
}
