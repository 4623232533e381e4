//! Fast commits: records of what was done since the last full commit, in an area at the journal's end.
//!
//! <https://docs.kernel.org/filesystems/ext4/journal.html#fast-commits>; its numbers are little-endian.

use super::super::checksum::crc32c_le;
use super::super::fault::Fault;
use super::super::fields::{le16, le32};
use super::blocks::Log;

const TAG_TAIL: u16 = 8;
const TAG_HEAD: u16 = 9;
const TAG_PAD: u16 = 7;
const TAG_SIZE: usize = 4;

/// How many whole fast commits of transaction `sequence` there are, which a replay has to apply after the full ones.
///
/// # Errors
/// Those of reading.
pub(super) fn count(log: &Log<'_, '_>, sequence: u32) -> Result<u32, Fault> {
    let mut commits = 0;
    let mut crc = 0;
    // jbd2 leaves the block after the log proper unused.
    for number in log.superblock.log_end().saturating_add(1)..log.superblock.s_maxlen {
        let block = log.read(number)?;
        let mut offset = 0;
        while offset + TAG_SIZE <= block.len() {
            let (tag, length) = (le16(&block, offset), usize::from(le16(&block, offset + 2)));
            let value = offset + TAG_SIZE;
            let end = value + length;
            if tag == TAG_TAIL {
                // Its checksum covers the tail up to the checksum itself; what is left of the block is padding.
                crc = crc32c_le(crc, block.get(offset..value + 4).unwrap_or_default());
                if le32(&block, value) != sequence || le32(&block, value + 4) != crc {
                    return Ok(commits);
                }
                commits += 1;
                crc = 0;
                break;
            }
            let is_known = (1..=TAG_PAD).contains(&tag) || tag == TAG_HEAD;
            let is_other = tag == TAG_HEAD && le32(&block, value + 4) != sequence;
            if !is_known || is_other || end > block.len() {
                return Ok(commits);
            }
            crc = crc32c_le(crc, block.get(offset..end).unwrap_or_default());
            offset = end;
        }
    }
    Ok(commits)
}
