//! Who claimed a block before the inode that claims it as well: asked only where that happened.

use super::Deep;
use crate::{Finding, Findings, ProbeError};

pub(super) const CLAIMED_TWICE: &str = "block-claimed-twice";

/// The claim of a cluster that is another inode's, or another part of the same one's.
pub(super) struct Contest {
    pub(super) inode: u32,
    pub(super) cluster: u64,
}

/// In the order of their inodes, as many as findings are kept.
#[derive(Default)]
pub(super) struct Contests {
    kept: Vec<Contest>,
    dropped: u64,
}

impl Contests {
    pub(super) fn push(&mut self, contest: Contest) {
        if self.kept.len() < Findings::LIMIT {
            self.kept.push(contest);
        } else {
            self.dropped += 1;
        }
    }
}

impl Deep<'_, '_> {
    /// Scans the inodes again, up to the last that claims what is another's, and says whose that is.
    pub(super) fn name_owners(&mut self) -> Result<(), ProbeError> {
        let Contests { kept, dropped } = std::mem::take(&mut self.contests);
        let Some((group, _)) = kept.last().and_then(|last| self.filesystem.inode_place(last.inode)) else {
            return Ok(());
        };
        let mut told_already = Findings::default();
        let mut again = Deep::new(self.filesystem, self.orphans, self.metadata, &mut told_already);
        again.space.watch(kept.iter().map(|contest| contest.cluster));
        let scanned = again.scan(group + 1);
        for Contest { inode, cluster } in kept {
            let block = self.space.block(cluster);
            let detail = match again.space.owner(cluster) {
                Some(owner) if owner == inode => format!("block {block} is in two places of it"),
                Some(owner) => format!("block {block} is claimed by inode {owner}, too"),
                None => format!("block {block} is claimed by another, too"),
            };
            self.damage(CLAIMED_TWICE, inode, detail);
        }
        if dropped > 0 {
            let detail = format!("{dropped} more claim a block that is claimed already");
            self.findings.push(Finding::damage(CLAIMED_TWICE, "inodes", detail));
        }
        scanned
    }
}
