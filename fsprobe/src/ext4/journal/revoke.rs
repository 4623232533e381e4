//! Revoke records: blocks whose older copies in the journal must not be replayed, since they were freed and may hold
//! file data by now.
//!
//! <https://docs.kernel.org/filesystems/ext4/journal.html#revocation-block>

use std::collections::HashMap;

use super::super::fault::Fault;
use super::super::fields::{be32, be64};
use super::TAIL_SIZE;
use super::superblock::JournalSuperblock;

const RECORDS_OFFSET: usize = 16;

/// The latest transaction that revoked each block. 16 bytes a record: the journal's length bounds it.
#[derive(Debug, Default)]
pub(super) struct Revoked(HashMap<u64, u32>);

impl Revoked {
    /// Takes the records of a revoke block of transaction `sequence`.
    pub(super) fn add(
        &mut self,
        block: &[u8],
        sequence: u32,
        superblock: &JournalSuperblock,
        place: &str,
    ) -> Result<(), Fault> {
        let room = block.len() - if superblock.has_block_tails() { TAIL_SIZE } else { 0 };
        let r_count = be32(block, 12);
        let Some(end) = usize::try_from(r_count).ok().filter(|&end| end <= room) else {
            return Err(Fault::damage("journal-revoke-count", place, format!("r_count is {r_count}, of {room} bytes")));
        };
        let record_size = if superblock.is_64bit() { 8 } else { 4 };
        for record in block.get(RECORDS_OFFSET..end).unwrap_or_default().chunks_exact(record_size) {
            let number = if record_size == 8 { be64(record, 0) } else { be32(record, 0).into() };
            let latest = self.0.entry(number).or_insert(sequence);
            if is_after(sequence, *latest) {
                *latest = sequence;
            }
        }
        Ok(())
    }

    /// Whether a copy of `block` from transaction `sequence` is not to be replayed.
    pub(super) fn covers(&self, block: u64, sequence: u32) -> bool {
        self.0.get(&block).is_some_and(|&latest| !is_after(sequence, latest))
    }
}

/// Sequence numbers wrap.
fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_revoked_for_its_own_and_earlier_transactions_only() {
        let mut revoked = Revoked::default();
        revoked.0.insert(7, u32::MAX);
        assert!(revoked.covers(7, u32::MAX - 1));
        assert!(revoked.covers(7, u32::MAX));
        assert!(!revoked.covers(7, 0), "the number after u32::MAX is 0");
        assert!(!revoked.covers(8, u32::MAX));
    }
}
