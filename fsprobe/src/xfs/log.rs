//! The log: a ring of blocks of 512 bytes, each of which begins with the number of the pass that wrote it (its cycle).
//!
//! Where the cycle falls is the head. Up to eight records may have been in flight and may have reached the disk in any
//! order, so the head is moved back over whatever is not there yet, as a mount does, and over what was not written whole.
//! The log is clean where the last record is then an unmount record that ends at the head (`xlog_find_tail` of
//! `fs/xfs/xfs_log_recover.c`).

use super::record::{BLOCK, Record, cycle_of, is_header};
use super::superblock::Superblock;
use crate::bytes::{be32, le16, le64};
use crate::read_at::read;
use crate::{ProbeError, ReadAt};

/// Log items are in the byte order of the machine that wrote them; this is that of every machine that runs KVM guests on LVM.
const XFS_LI_BUF: u16 = 0x123c;
/// `XLOG_MAX_ICLOGS`.
pub(super) const MAX_RECORDS_IN_FLIGHT: u64 = 8;
/// A record header further back than this is not looked for.
pub(super) const MAX_SEARCH_BLOCKS: u64 = 128 << 10;

/// What a mount would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing to replay.
    Clean {
        /// Where a record was not written whole, which a mount drops.
        torn_block: Option<u64>,
    },
    /// Records from the tail to the head are to be replayed; blocks of 512 bytes from the start of the log.
    Dirty {
        head_block: u64,
        tail_block: u64,
        /// All there is to replay is the superblock, twice: a frozen or idle filesystem covers its log so.
        covered: bool,
        /// Where a record was not written whole, which a mount drops.
        torn_block: Option<u64>,
    },
    /// A mount would refuse it.
    Bad(String),
    /// It cannot be told within bounds.
    Unknown(String),
}

pub(super) struct Log<'l> {
    log: &'l dyn ReadAt,
    pub(super) blocks: u64,
    max_record_blocks: u64,
    sb_uuid: [u8; 16],
}

impl<'l> Log<'l> {
    pub fn new(log: &'l dyn ReadAt, superblock: &Superblock) -> Self {
        let max_record_bytes: u64 = if superblock.has_log_v2() { 256 << 10 } else { 32 << 10 };
        Self {
            log,
            blocks: log.size_bytes() / BLOCK as u64,
            max_record_blocks: max_record_bytes / BLOCK as u64,
            sb_uuid: superblock.sb_uuid,
        }
    }

    pub fn state(&self) -> Result<State, ProbeError> {
        if self.blocks == 0 {
            return Ok(State::Bad("it has no blocks".into()));
        }
        let head = match self.head()? {
            Ok(head) => head,
            Err(state) => return Ok(state),
        };
        // The record that ends at the head; with the head at the start, that is at the end of the ring.
        let record = match self.record_before(head)? {
            Some(record) => Some(record),
            None => self.record_before(self.blocks)?.filter(|record| record.block >= head),
        };
        let Some(record) = record else {
            let detail = format!("there is no record before its head, block {head}");
            return Ok(if head.max(self.blocks - head) > MAX_SEARCH_BLOCKS {
                State::Unknown(detail)
            } else {
                State::Bad(detail)
            });
        };
        if record.h_fs_uuid != self.sb_uuid && record.h_fs_uuid != [0; 16] {
            return Ok(State::Bad("its records are of a filesystem with another UUID".into()));
        }
        if self.is_unmounted(&record, head)? {
            return Ok(State::Clean { torn_block: None });
        }
        let outside = |tail: u64| State::Bad(format!("its tail, block {tail}, is not in it"));
        let tail_block = record.tail_block();
        if tail_block >= self.blocks {
            return Ok(outside(tail_block));
        }
        let (head_block, tail_block, torn_block) = match self.first_torn(tail_block, head)? {
            None => (head, tail_block, None),
            Some(torn) => {
                let Some(record) = self.header_before(torn, tail_block)? else {
                    return Ok(State::Bad(format!("its record at block {torn} is torn, and there is none before it")));
                };
                if self.is_unmounted(&record, torn)? {
                    return Ok(State::Clean { torn_block: Some(torn) });
                }
                (torn, record.tail_block(), Some(torn))
            }
        };
        if tail_block >= self.blocks {
            return Ok(outside(tail_block));
        }
        if let Some(bad) = self.first_bad(tail_block, head_block)? {
            let detail = format!("its record at block {bad}, which a mount would replay, does not match its checksum");
            return Ok(State::Bad(detail));
        }
        Ok(State::Dirty { head_block, tail_block, covered: self.is_covered(tail_block, head_block)?, torn_block })
    }

    /// Whether `record` is an unmount record that ends at `head`.
    fn is_unmounted(&self, record: &Record, head: u64) -> Result<bool, ProbeError> {
        let data = self.read((record.block + record.header_blocks()) % self.blocks, 1)?;
        Ok((record.block + record.blocks()) % self.blocks == head && record.is_unmount(&data))
    }

    /// Whether there are at most two records from `tail` to `head`, each of one transaction on the superblock alone.
    fn is_covered(&self, tail: u64, head: u64) -> Result<bool, ProbeError> {
        let mut at = tail;
        for _ in 0..2 {
            if at >= self.blocks {
                return Ok(false);
            }
            let header = self.read(at, 1)?;
            let record = Record::parse(at, &header);
            // Start, transaction header, buffer format, buffer, commit: the format is 24 bytes, 52 bytes in.
            let data = self.read((at + record.header_blocks()) % self.blocks, 1)?;
            let superblock = be32(&data, 44) == 24 && le16(&data, 52) == XFS_LI_BUF && le64(&data, 60) == 0;
            if !is_header(&header) || record.h_num_logops != 5 || !superblock {
                return Ok(false);
            }
            at = (at + record.blocks()) % self.blocks;
            if at == head {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The block that would be written next.
    fn head(&self) -> Result<Result<u64, State>, ProbeError> {
        let (first, last) = (self.cycle(0)?, self.cycle(self.blocks - 1)?);
        if first == 0 {
            // Not even mkfs has written here: a mount begins at block 0.
            return Ok(Err(State::Clean { torn_block: None }));
        }
        if last == 0 && first != 1 {
            return Ok(Err(State::Bad(format!("its first block is of cycle {first}, its last was never written"))));
        }
        // What stands behind the head, and so in holes before it.
        let behind = if first == last { last.wrapping_sub(1) } else { last };
        let mut head = if first == last { self.blocks } else { self.first_of_cycle(last)? };
        let window = MAX_RECORDS_IN_FLIGHT * self.max_record_blocks;
        let wrapped = window.saturating_sub(head).min(self.blocks - head.min(self.blocks));
        let older_hole = if last == 0 || wrapped == 0 {
            None
        } else {
            self.find_cycle(self.blocks - wrapped, self.blocks, behind.wrapping_sub(1))?
        };
        head = match older_hole {
            Some(hole) => hole,
            None => self.find_cycle(head.saturating_sub(window), head, behind)?.unwrap_or(head),
        };
        head = self.without_partial_record(head)?;
        Ok(Ok(if head == self.blocks { 0 } else { head }))
    }

    /// The first block of `cycle`, which those from there to the end have, and those before do not.
    fn first_of_cycle(&self, cycle: u32) -> Result<u64, ProbeError> {
        let (mut other, mut same) = (0, self.blocks - 1);
        while same - other > 1 {
            let middle = other + (same - other) / 2;
            if self.cycle(middle)? == cycle { same = middle } else { other = middle }
        }
        Ok(same)
    }

    /// `head`, or the start of the last record where that does not reach to `head`.
    fn without_partial_record(&self, head: u64) -> Result<u64, ProbeError> {
        if let Some(record) = self.record_before(head)? {
            return Ok(if record.block + record.blocks() == head { head } else { record.block });
        }
        // It began before the end of the ring.
        Ok(match self.record_before(self.blocks)?.filter(|record| record.block >= head) {
            Some(record) if record.block + record.blocks() == self.blocks + head => head,
            Some(record) => record.block,
            None => head,
        })
    }

    /// The last record that begins before `end`.
    pub(super) fn record_before(&self, end: u64) -> Result<Option<Record>, ProbeError> {
        let bound = end.saturating_sub(MAX_SEARCH_BLOCKS);
        let mut end = end;
        while end > bound {
            let start = end.saturating_sub(self.max_record_blocks).max(bound);
            let bytes = self.read(start, end - start)?;
            let mut blocks = bytes.chunks_exact(BLOCK).enumerate();
            if let Some((i, header)) = blocks.rfind(|(_, block)| is_header(block)) {
                return Ok(Some(Record::parse(start + i as u64, header)));
            }
            end = start;
        }
        Ok(None)
    }

    /// The first block in a range that is of `cycle`.
    fn find_cycle(&self, start: u64, end: u64, cycle: u32) -> Result<Option<u64>, ProbeError> {
        let mut at = start;
        while at < end {
            let count = (end - at).min(self.max_record_blocks);
            let bytes = self.read(at, count)?;
            let found = bytes.chunks_exact(BLOCK).zip(at..).find(|(block, _)| cycle_of(block) == cycle);
            if let Some((_, block)) = found {
                return Ok(Some(block));
            }
            at += count;
        }
        Ok(None)
    }

    fn cycle(&self, block: u64) -> Result<u32, ProbeError> {
        Ok(cycle_of(&self.read(block, 1)?))
    }

    /// With its header blocks, one for 32 KiB.
    pub(super) fn longest_record_blocks(&self) -> u64 {
        self.max_record_blocks + self.max_record_blocks / 64
    }

    /// Some blocks, no more than the longest record has data.
    pub(super) fn read(&self, block: u64, count: u64) -> Result<Vec<u8>, ProbeError> {
        let count = usize::try_from(count.min(self.max_record_blocks)).unwrap_or(1);
        read(self.log, block * BLOCK as u64, count * BLOCK, "XFS log")
    }
}
