//! Which records of the log were written whole (`xlog_verify_head` and `xlog_verify_tail` of `fs/xfs/xfs_log_recover.c`).

use super::log::{Log, MAX_RECORDS_IN_FLIGHT, MAX_SEARCH_BLOCKS};
use super::record::{BLOCK, Record, is_header};
use crate::ProbeError;

impl Log<'_> {
    /// The first of the last eight records before `head` that was not written whole: those may have been in flight
    /// together when the machine stopped.
    pub(super) fn first_torn(&self, tail: u64, head: u64) -> Result<Option<u64>, ProbeError> {
        let mut oldest = head;
        for _ in 0..MAX_RECORDS_IN_FLIGHT {
            match self.header_before(oldest, tail)? {
                Some(record) => oldest = record.block,
                None => break,
            }
            if oldest == tail {
                break;
            }
        }
        self.first_not_whole(oldest, head)
    }

    /// The first record from `tail` to `head` that was not written whole, and cannot have been overwritten by one that was
    /// in flight: that is a record from which the tail had moved on already.
    pub(super) fn first_bad(&self, tail: u64, head: u64) -> Result<Option<u64>, ProbeError> {
        let mut tail = tail;
        while let Some(bad) = self.first_not_whole(tail, head)? {
            let h_size = Record::parse(bad, &self.read(bad, 1)?).h_size.clamp(32 << 10, 256 << 10);
            let room = self.distance(head, bad);
            if room > MAX_RECORDS_IN_FLIGHT * u64::from(h_size).div_ceil(BLOCK as u64) {
                return Ok(Some(bad));
            }
            match self.header_after(bad, head)? {
                Some(next) => tail = next,
                None => return Ok(Some(bad)),
            }
        }
        Ok(None)
    }

    /// The last record that begins before `end` and not before `tail`.
    pub(super) fn header_before(&self, end: u64, tail: u64) -> Result<Option<Record>, ProbeError> {
        if let Some(record) = self.record_before(end)? {
            return Ok(Some(record).filter(|record| end <= tail || record.block >= tail));
        }
        if tail < end {
            return Ok(None);
        }
        Ok(self.record_before(self.blocks)?.filter(|record| record.block >= tail))
    }

    /// The first record that begins behind `block` and before `head`.
    fn header_after(&self, block: u64, head: u64) -> Result<Option<u64>, ProbeError> {
        for step in 1..self.distance(block, head).min(MAX_SEARCH_BLOCKS) {
            let at = (block + step) % self.blocks;
            if is_header(&self.read(at, 1)?) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Follows the records from `start` to `head`; the first that is none, or was not written whole. What is further than
    /// 64 MiB is not looked at.
    fn first_not_whole(&self, start: u64, head: u64) -> Result<Option<u64>, ProbeError> {
        let mut left = self.distance(start, head);
        let bound = left.saturating_sub(MAX_SEARCH_BLOCKS);
        let mut at = start;
        while left > bound {
            let record = Record::parse(at, &self.read(at, 1)?);
            let blocks = record.blocks();
            if blocks > left.min(self.longest_record_blocks()) || !record.holds(&self.around(at, blocks)?) {
                return Ok(Some(at));
            }
            left -= blocks;
            at = (at + blocks) % self.blocks;
        }
        Ok(None)
    }

    /// Blocks from `at` on, past the end of the ring from its start; no more than the longest record has.
    fn around(&self, at: u64, count: u64) -> Result<Vec<u8>, ProbeError> {
        let first = count.min(self.blocks - at);
        let mut bytes = Vec::new();
        for (start, end) in [(at, at + first), (0, count - first)] {
            let mut at = start;
            while at < end {
                let part = self.read(at, end - at)?;
                at += (part.len() / BLOCK).max(1) as u64;
                bytes.extend(part);
            }
        }
        Ok(bytes)
    }

    /// Blocks from one place to another, forward.
    fn distance(&self, from: u64, to: u64) -> u64 {
        if from <= to { to - from } else { self.blocks - from + to }
    }
}
