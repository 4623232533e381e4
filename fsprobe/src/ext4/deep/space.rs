//! Which clusters are claimed, each once only.

use std::collections::BTreeMap;

use super::super::fault::Fault;
use super::super::features::ro_compat;
use super::super::piece::{Piece, Run};
use super::super::superblock::Superblock;
use super::group_bits::GroupBits;
use super::metadata::Metadata;
use super::owners::{CLAIMED_TWICE, Contest};

/// The claims of the filesystem's own structures and of all inodes: one bit a cluster (a block without `bigalloc`).
pub(super) struct Space {
    claimed: GroupBits,
    contested: Option<Contest>,
    /// Of the clusters that are watched.
    owners: BTreeMap<u64, Option<u32>>,
    first_block: u64,
    blocks_per_cluster: u64,
    clusters_per_group: u64,
    /// `shared_blocks`: files share blocks of data on purpose, and the filesystem is never written to.
    is_data_shared: bool,
}

/// What one inode has claimed so far.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) clusters: u64,
    /// The file block after the last one that is mapped.
    pub(super) end: u64,
    /// The last file block that is mapped and written.
    pub(super) last_written: Option<u64>,
    /// A directory has neither.
    pub(super) has_holes: bool,
    pub(super) has_unwritten: bool,
    /// Where its data begins.
    pub(super) first_block: Option<u64>,
    /// The last cluster of data: in the file, and on the volume.
    last_cluster: Option<(u64, u64)>,
}

impl Space {
    pub(super) fn new(superblock: &Superblock, metadata: &Metadata) -> Self {
        let mut space = Self {
            claimed: GroupBits::new(superblock.groups_count(), superblock.clusters_per_group()),
            contested: None,
            owners: BTreeMap::new(),
            first_block: superblock.s_first_data_block.into(),
            blocks_per_cluster: superblock.blocks_per_cluster(),
            clusters_per_group: superblock.clusters_per_group().into(),
            is_data_shared: superblock.has_ro_compat(ro_compat::SHARED_BLOCKS),
        };
        for range in metadata.ranges() {
            // Structures may share a cluster; that they do not share a block was checked.
            space.set(space.cluster(range.start), space.cluster(range.end - 1) + 1);
        }
        space
    }

    pub(super) fn claimed(&self) -> &GroupBits {
        &self.claimed
    }

    /// The claim that failed since this was asked last, of a cluster that is another inode's.
    pub(super) fn take_contested(&mut self) -> Option<Contest> {
        self.contested.take()
    }

    /// Has the first to claim each of `clusters` remembered.
    pub(super) fn watch(&mut self, clusters: impl Iterator<Item = u64>) {
        self.owners = clusters.map(|cluster| (cluster, None)).collect();
    }

    /// Who claimed a watched cluster first.
    pub(super) fn owner(&self, cluster: u64) -> Option<u32> {
        self.owners.get(&cluster).copied().flatten()
    }

    /// The first block of `cluster`.
    pub(super) fn block(&self, cluster: u64) -> u64 {
        self.first_block + cluster * self.blocks_per_cluster
    }

    fn cluster(&self, block: u64) -> u64 {
        block.saturating_sub(self.first_block) / self.blocks_per_cluster
    }

    /// Sets clusters and returns the first that was set already.
    fn set(&mut self, mut start: u64, end: u64) -> Option<u64> {
        let mut first_set = None;
        while start < end {
            let (group, index) = (start / self.clusters_per_group, start % self.clusters_per_group);
            let length = (end - start).min(self.clusters_per_group - index);
            // Groups are numbered with 32 bits, and have at most 524288 clusters: validated with the superblock.
            let range = index as u32..(index + length) as u32;
            if let Some(index) = self.claimed.set_range(group as u32, range) {
                first_set = first_set.or(Some(group * self.clusters_per_group + u64::from(index)));
            }
            start += length;
        }
        first_set
    }

    fn claim(&mut self, owner: u32, start: u64, end: u64, metadata: &Metadata) -> Result<(), Fault> {
        self.owners.range_mut(start..end).for_each(|(_, first)| *first = first.or(Some(owner)));
        let Some(cluster) = self.set(start, end) else { return Ok(()) };
        let block = self.block(cluster);
        let mut detail = format!("block {block} holds the filesystem's own structures");
        if !metadata.contains(block) {
            self.contested = Some(Contest { inode: owner, cluster });
            detail = format!("block {block} is claimed already");
        }
        Err(Fault::damage(CLAIMED_TWICE, format_args!("inode {owner}"), detail))
    }

    /// Claims one block for itself: one of an extent tree or block map, or of extended attributes.
    pub(super) fn claim_block(
        &mut self,
        owner: u32,
        block: u64,
        tally: &mut Tally,
        metadata: &Metadata,
    ) -> Result<(), Fault> {
        tally.clusters += 1;
        let cluster = self.cluster(block);
        self.claim(owner, cluster, cluster + 1, metadata)
    }

    /// Claims what a walk through the blocks of inode `owner` came by. A walk has to end at the first error: so a block of
    /// a map is walked through once only, whichever inodes point to it.
    pub(super) fn claim_piece(
        &mut self,
        owner: u32,
        piece: Piece,
        tally: &mut Tally,
        metadata: &Metadata,
    ) -> Result<(), Fault> {
        let run = match piece {
            Piece::Map(block) => return self.claim_block(owner, block, tally, metadata),
            Piece::Data(run) => run,
        };
        tally.add(&run);
        let per_cluster = self.blocks_per_cluster;
        if (run.physical_block - self.first_block) % per_cluster != run.logical_block % per_cluster {
            let detail = format!("file block {} is block {}", run.logical_block, run.physical_block);
            return Err(Fault::damage("cluster-misaligned", format_args!("inode {owner}"), detail));
        }
        let mut start = self.cluster(run.physical_block);
        let end = self.cluster(run.physical_block + run.length_blocks - 1) + 1;
        let first = (run.logical_block / per_cluster, start);
        // Two runs of a file may lie in the same cluster of it.
        if tally.last_cluster == Some(first) {
            start += 1;
        }
        tally.clusters += end - start;
        tally.last_cluster = Some(((run.logical_block + run.length_blocks - 1) / per_cluster, end - 1));
        let claimed = self.claim(owner, start, end, metadata);
        // What another file has, and not the filesystem itself.
        if self.is_data_shared && self.contested.take().is_some() { Ok(()) } else { claimed }
    }
}

impl Tally {
    /// Notes a run of data.
    pub(super) fn add(&mut self, run: &Run) {
        self.has_holes |= run.logical_block != self.end;
        self.has_unwritten |= run.is_unwritten;
        self.first_block = self.first_block.or(Some(run.physical_block));
        self.end = run.logical_block + run.length_blocks;
        if !run.is_unwritten {
            self.last_written = Some(self.end - 1);
        }
    }
}
