//! Which transactions of the log are committed: what `do_one_pass(PASS_SCAN)` of the kernel decides.
//!
//! The log ends quietly at the first block that is not the journal's, or not the next transaction's: there the crash was.
//! A checksum that fails is a stale block of an earlier round, and ends the log quietly, where its commit block is older
//! than the transaction before; else it is damage.

use super::super::checksum::{crc32_be, crc32c_without};
use super::super::fault::Fault;
use super::super::fields::{be32, be64, byte};
use super::blocks::Log;
use super::superblock::{ChecksumVersion, JournalSuperblock};
use super::{BlockType, Header, descriptor};
use crate::Finding;

const COMMIT_CHECKSUM_OFFSET: usize = 16;
const COMMIT_HEADER_SIZE: usize = 64;
const CHECKSUM_TYPE_CRC32: u8 = 1;

/// Committed transactions, in order.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Descriptor and revoke blocks with the transaction that they are of.
    pub(super) records: Vec<Record>,
    /// Committed transactions.
    pub(super) transactions: u32,
    /// The transaction that would come next.
    pub(super) end_sequence: u32,
    /// Damage that ended the log.
    pub(super) damage: Option<Finding>,
}

/// A descriptor or revoke block of a committed transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) sequence: u32,
    pub(super) log_block: u32,
    pub(super) is_revoke: bool,
}

/// Follows the log from `s_start`. Ends after one round of the ring at the latest.
///
/// # Errors
/// Those of reading the journal.
pub(super) fn scan(log: &Log<'_, '_>) -> Result<Scan, Fault> {
    let superblock = &log.superblock;
    let mut scan = Scan { end_sequence: superblock.s_sequence, ..Scan::default() };
    let mut pending: Vec<Record> = Vec::new();
    let mut next = superblock.s_start;
    let mut blocks_left = log.ring_blocks();
    let mut last_commit_seconds = 0;
    let mut is_suspect = false;
    let mut transaction_crc = !0;
    let is_v1 = superblock.checksum_version() == ChecksumVersion::V1;
    let mut interrupted: Option<u32> = None;
    let mut expected_sequence = scan.end_sequence;

    while blocks_left > 0 {
        let log_block = next;
        let block = log.read(log_block)?;
        let Some(Header { block_type: Some(block_type), h_sequence }) = Header::parse(&block) else { break };
        if h_sequence != expected_sequence {
            break;
        }
        let mut taken = 1;
        match block_type {
            BlockType::Descriptor => {
                is_suspect |= !descriptor::verify_tail(&block, superblock);
                let copies = u32::try_from(descriptor::tags(&block, superblock).len()).unwrap_or(u32::MAX);
                taken += copies;
                if taken > blocks_left {
                    break;
                }
                if is_v1 && interrupted.is_none() {
                    transaction_crc = crc32_be(transaction_crc, &block);
                    for copy in 1..=copies {
                        transaction_crc = crc32_be(transaction_crc, &log.read(log.advance(log_block, copy))?);
                    }
                }
                pending.push(Record { sequence: h_sequence, log_block, is_revoke: false });
            }
            BlockType::Revoke => {
                is_suspect |= !descriptor::verify_tail(&block, superblock);
                pending.push(Record { sequence: h_sequence, log_block, is_revoke: true });
            }
            BlockType::Commit => {
                let h_commit_sec = be64(&block, 48);
                let damage = |transaction, what| {
                    let detail = format!("the checksum of {what} of transaction {transaction} is wrong");
                    Finding::damage("journal-transaction-checksum", format!("journal block {log_block}"), detail)
                };
                // With version 1 alone, a transaction may have been committed before all of it was written; but not one
                // that another follows.
                if let Some(transaction) = interrupted {
                    scan.damage = Some(damage(transaction, "the commit block"));
                    break;
                }
                let is_sound = !is_suspect && verify_commit(&block, superblock, transaction_crc);
                expected_sequence = expected_sequence.wrapping_add(1);
                if is_sound {
                    last_commit_seconds = h_commit_sec;
                    transaction_crc = !0;
                    scan.records.append(&mut pending);
                    scan.transactions += 1;
                    scan.end_sequence = expected_sequence;
                } else if h_commit_sec < last_commit_seconds {
                    break;
                } else if is_suspect {
                    scan.damage = Some(damage(h_sequence, "a descriptor or revoke block"));
                    break;
                } else if !superblock.has_async_commit() {
                    scan.damage = Some(damage(h_sequence, "the commit block"));
                    break;
                } else if is_v1 {
                    interrupted = Some(h_sequence);
                } else {
                    break;
                }
            }
        }
        blocks_left -= taken;
        next = log.advance(log_block, taken);
    }
    Ok(scan)
}

fn verify_commit(block: &[u8], superblock: &JournalSuperblock, transaction_crc: u32) -> bool {
    let stored = be32(block, COMMIT_CHECKSUM_OFFSET);
    match superblock.checksum_version() {
        ChecksumVersion::None => true,
        ChecksumVersion::V1 => {
            let (h_chksum_type, h_chksum_size) = (byte(block, 12), byte(block, 13));
            let is_unused = h_chksum_type == 0 && h_chksum_size == 0 && stored == 0;
            is_unused || (stored == transaction_crc && h_chksum_type == CHECKSUM_TYPE_CRC32 && h_chksum_size == 4)
        }
        ChecksumVersion::V2 | ChecksumVersion::V3 => {
            let computed = |block: &[u8]| crc32c_without(superblock.checksum_seed(), block, COMMIT_CHECKSUM_OFFSET, 4);
            if stored == computed(block) {
                return true;
            }
            // A commit block that reached the disk in part: its header is whole, what follows is meaningless anyway.
            let mut header_only = block.to_vec();
            header_only.iter_mut().skip(COMMIT_HEADER_SIZE).for_each(|byte| *byte = 0);
            stored == computed(&header_only)
        }
    }
}
