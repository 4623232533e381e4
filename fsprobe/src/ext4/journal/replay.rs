//! What a replay writes where: `do_one_pass(PASS_REVOKE)` and `(PASS_REPLAY)` of the kernel.

use std::collections::BTreeMap;

use super::super::fault::Fault;
use super::blocks::Log;
use super::revoke::Revoked;
use super::scan::scan;
use super::{FastCommits, descriptor, fast_commit};
use crate::Finding;

/// Blocks that a replay may write, so that what is kept of them stays under about 1 GiB. A journal is rarely longer than
/// 2^18 blocks.
const MAX_BLOCKS: usize = 1 << 24;

/// The copy that replaces a filesystem block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The filesystem block, inside the journal, that holds the copy.
    pub from_block: u64,
    /// Its first four bytes are to be the journal's magic number, for which the copy has zeros.
    pub is_escaped: bool,
}

/// What a replay would do.
#[derive(Debug, Default)]
pub struct Replay {
    /// For each filesystem block that it would write: the copy. 32 bytes each, no more of them than the journal is long.
    pub blocks: BTreeMap<u64, Copied>,
    /// Committed transactions.
    pub transactions: u32,
    /// The sequence number after the last committed transaction.
    pub end_sequence: u32,
    /// Copies that are not written since the block was freed by the same or a later transaction.
    pub revoked_copies: u64,
    /// Fast commits that follow the last full one.
    pub(in super::super) fast_commits: FastCommits,
    /// Why it would fail.
    pub findings: Vec<Finding>,
}

/// Works out what replaying `log` would write. Nothing is done where it is empty.
///
/// # Errors
/// [`Fault::Io`] where the medium fails, [`Fault::Bad`] where the log cannot be followed at all.
pub fn replay(log: &Log<'_, '_>) -> Result<Replay, Fault> {
    let mut replay = Replay { end_sequence: log.superblock.s_sequence, ..Replay::default() };
    if log.superblock.s_start == 0 {
        return Ok(replay);
    }
    let scan = scan(log)?;
    replay.transactions = scan.transactions;
    replay.end_sequence = scan.end_sequence;
    replay.findings.extend(scan.damage);

    let mut revoked = Revoked::default();
    for record in scan.records.iter().filter(|record| record.is_revoke) {
        let place = format!("journal block {}", record.log_block);
        revoked.add(&log.read(record.log_block)?, record.sequence, &log.superblock, &place)?;
    }
    for record in scan.records.iter().filter(|record| !record.is_revoke) {
        replay.transaction_part(log, &revoked, record.sequence, record.log_block)?;
    }
    if log.superblock.has_fast_commit() {
        replay.fast_commits = fast_commit::scan(log, replay.end_sequence)?;
        replay.findings.extend(replay.fast_commits.damage.clone());
    }
    Ok(replay)
}

impl Replay {
    /// The blocks of one descriptor.
    fn transaction_part(
        &mut self,
        log: &Log<'_, '_>,
        revoked: &Revoked,
        sequence: u32,
        log_block: u32,
    ) -> Result<(), Fault> {
        let mut position = log_block;
        for tag in descriptor::tags(&log.read(log_block)?, &log.superblock) {
            position = log.advance(position, 1);
            if revoked.covers(tag.block, sequence) {
                self.revoked_copies += 1;
                continue;
            }
            let place = || format!("journal block {position}, transaction {sequence}");
            if tag.block >= log.filesystem().superblock.s_blocks_count {
                let detail = format!("it is a copy of block {}, which does not exist", tag.block);
                self.findings.push(Finding::damage("journal-tag-range", place(), detail));
                continue;
            }
            if log.superblock.has_block_tails() && !tag.verify(&log.superblock, sequence, &log.read(position)?) {
                let detail = format!("the checksum of the copy of block {} is wrong", tag.block);
                self.findings.push(Finding::damage("journal-block-checksum", place(), detail));
                continue;
            }
            if self.blocks.len() >= MAX_BLOCKS {
                let detail = format!("a replay would write more than {MAX_BLOCKS} blocks");
                return Err(Fault::unknown("journal-too-long", place(), detail));
            }
            let copied = Copied { from_block: log.physical_block(position)?, is_escaped: tag.is_escaped };
            self.blocks.insert(tag.block, copied);
        }
        Ok(())
    }
}
