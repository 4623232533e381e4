//! Quota files (`quota`, `project`): what they record for each ID against what its files have.
//!
//! `fs/quota/quotaio_v2.h`, `fs/quota/quota_tree.h`: blocks of 1 KiB; after two headers in block 0, a tree by the four bytes
//! of an ID leads from block 1 to blocks of entries, several IDs to the same one.

use std::collections::{HashMap, HashSet};

use super::super::fault::Fault;
use super::super::features::ro_compat;
use super::super::fields::{le16, le32, le64};
use super::super::filesystem::{Filesystem, read_volume};
use super::super::inode::Inode;
use super::super::superblock::Superblock;
use super::Deep;
use crate::{Finding, ProbeError};

const BLOCK_SIZE: usize = 1024;
const ROOT: u32 = 1;
const TREE_LEVELS: u8 = 4;
/// `qt_disk_dqdbheader`, with which a block of entries begins.
const ENTRIES: usize = 16;
/// `v2r1_disk_dqblk`.
const ENTRY_SIZE: usize = 72;

/// Where `i_projid` is, in inodes that have it.
const I_PROJID: std::ops::Range<usize> = 0x9c..0xa0;

/// What the files of one ID take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Usage {
    inodes: u64,
    bytes: u64,
}

/// One kind of quota, and what each ID of that kind really has.
struct Quota {
    name: &'static str,
    /// Its file.
    inode: u32,
    dqh_magic: u32,
    usage: HashMap<u32, Usage>,
}

/// The kinds that the superblock has a file for; memory for each ID that owns files.
pub(super) struct Quotas(Vec<Quota>);

impl Quotas {
    pub(super) fn new(superblock: &Superblock) -> Self {
        let kinds = [("user", 0x240, 0xd9c0_1f11), ("group", 0x244, 0xd9c0_1927), ("project", 0x26c, 0xd9c0_3f14)];
        let has_quota = superblock.has_ro_compat(ro_compat::QUOTA);
        let quota = |(name, offset, dqh_magic)| {
            let inode = le32(superblock.raw(), offset);
            (has_quota && inode != 0).then(|| Quota { name, inode, dqh_magic, usage: HashMap::new() })
        };
        Self(kinds.into_iter().filter_map(quota).collect())
    }

    /// Charges the owners of a file for it and for the `values` that it has in inodes of their own.
    pub(super) fn charge(&mut self, inode: &Inode, raw: &[u8], values: usize, block_size: u64) {
        let bytes = inode.sectors(block_size).saturating_mul(512);
        for quota in &mut self.0 {
            let id = match quota.name {
                "user" => u32::from(le16(raw, 0x2)) | u32::from(le16(raw, 0x78)) << 16,
                "group" => u32::from(le16(raw, 0x18)) | u32::from(le16(raw, 0x7a)) << 16,
                _ if 128 + usize::from(inode.i_extra_isize) >= I_PROJID.end => le32(raw, I_PROJID.start),
                _ => 0,
            };
            let usage = quota.usage.entry(id).or_default();
            usage.inodes += 1 + values as u64;
            usage.bytes = usage.bytes.saturating_add(bytes);
        }
    }
}

impl Deep<'_, '_> {
    /// What is recorded of usage decides what a user may still write, not what is read: a difference is a warning.
    pub(super) fn quotas(&mut self) -> Result<(), ProbeError> {
        if !self.is_space_complete {
            return Ok(());
        }
        for quota in std::mem::take(&mut self.quotas.0) {
            let place = format!("{} quota, inode {}", quota.name, quota.inode);
            match quota.compare(self.filesystem, &place) {
                Ok(None) => {}
                Ok(Some(detail)) => self.findings.push(Finding::warning("quota-usage", place, detail)),
                Err(fault) => self.findings.push(fault.finding()?),
            }
        }
        Ok(())
    }
}

/// The IDs whose usage is not what is recorded.
#[derive(Default)]
struct Differing {
    count: u64,
    /// The least: recorded, and counted.
    first: Option<(u32, Usage, Usage)>,
}

impl Differing {
    fn compare(&mut self, id: u32, recorded: Usage, counted: Usage) {
        if recorded != counted {
            self.count += 1;
            if self.first.is_none_or(|(first, ..)| id < first) {
                self.first = Some((id, recorded, counted));
            }
        }
    }
}

impl Quota {
    /// Goes through the file; what differs, if anything.
    fn compare(mut self, filesystem: &Filesystem<'_>, place: &str) -> Result<Option<String>, Fault> {
        let content = filesystem.content(&filesystem.any_node(self.inode)?)?;
        let mut block = [0; BLOCK_SIZE];
        let read = |block: &mut [u8; BLOCK_SIZE], index: u32| {
            read_volume(&content, block, u64::from(index) * BLOCK_SIZE as u64, format_args!("{place}, block {index}"))
        };
        read(&mut block, 0)?;
        let (dqh_magic, dqh_version) = (le32(&block, 0), le32(&block, 4));
        if dqh_magic != self.dqh_magic || dqh_version != 1 {
            let detail = format!("dqh_magic is {dqh_magic:#x}, not {:#x}, dqh_version {dqh_version}", self.dqh_magic);
            return Err(Fault::damage("quota-file", place, detail));
        }
        let mut differing = Differing::default();
        // Each block is read once, whichever branches lead to it.
        let mut seen = HashSet::new();
        let mut ahead = vec![(ROOT, 0)];
        while let Some((index, level)) = ahead.pop() {
            if !seen.insert(index) {
                continue;
            }
            read(&mut block, index)?;
            if level < TREE_LEVELS {
                let below = block.chunks_exact(4).map(|pointer| le32(pointer, 0));
                ahead.extend(below.filter(|&pointer| pointer != 0).map(|pointer| (pointer, level + 1)));
                continue;
            }
            let entries = block.get(ENTRIES..).unwrap_or_default().chunks_exact(ENTRY_SIZE);
            for entry in entries.filter(|entry| entry.iter().any(|&byte| byte != 0)) {
                let dqb_id = le32(entry, 0);
                let recorded = Usage { inodes: le64(entry, 24), bytes: le64(entry, 48) };
                differing.compare(dqb_id, recorded, self.usage.remove(&dqb_id).unwrap_or_default());
            }
        }
        for (id, counted) in self.usage {
            differing.compare(id, Usage::default(), counted);
        }
        let Differing { count, first } = differing;
        Ok(first.map(|(id, recorded, counted)| {
            format!(
                "usage is recorded wrongly for {count} IDs, as for {id}: {} inodes and {} bytes, counted {} and {}",
                recorded.inodes, recorded.bytes, counted.inodes, counted.bytes
            )
        }))
    }
}
