//! Directory entries.
//!
//! <https://docs.kernel.org/filesystems/ext4/directory.html>

use super::super::fields::{byte, le16, le32};

/// `inode`, `rec_len`, `name_len`, `file_type`.
const HEADER_SIZE: usize = 8;
const MIN_RECORD: usize = 12;
/// The entry without a name at the end of a block that holds its checksum.
pub(super) const TAIL_SIZE: usize = 12;
const TAIL_FILE_TYPE: u8 = 0xde;

/// One entry; `inode` is 0 where it is not used.
pub(super) struct Entry<'b> {
    pub(super) offset: usize,
    pub(super) inode: u32,
    pub(super) file_type: u8,
    pub(super) name: &'b [u8],
}

/// `rec_len`: with blocks of 64 KiB, the length of the block does not fit, and is 0 or 65535.
pub(super) fn rec_len(region: &[u8], offset: usize, block_size: usize) -> usize {
    let length = usize::from(le16(region, offset + 4));
    match length {
        0 | 0xffff if block_size >= 0x1_0000 => block_size,
        _ if block_size >= 0x1_0000 => length & 0xfffc | (length & 3) << 16,
        _ => length,
    }
}

/// The entries that fill `region`, up to the first that is not well-formed.
pub(super) fn entries(region: &[u8], block_size: usize) -> impl Iterator<Item = Result<Entry<'_>, String>> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        if offset >= region.len() {
            return None;
        }
        let record = rec_len(region, offset, block_size);
        let name_len = usize::from(byte(region, offset + 6));
        let end = offset + record;
        if record < MIN_RECORD || !record.is_multiple_of(4) || HEADER_SIZE + name_len > record || end > region.len() {
            let detail = format!("at byte {offset} of {}, rec_len is {record}, name_len {name_len}", region.len());
            offset = region.len();
            return Some(Err(detail));
        }
        let name = region.get(offset + HEADER_SIZE..offset + HEADER_SIZE + name_len).unwrap_or_default();
        let entry = Entry { offset, inode: le32(region, offset), file_type: byte(region, offset + 7), name };
        offset = end;
        Some(Ok(entry))
    })
}

/// The checksum at the end of a block; `None` where there is no such entry.
pub(super) fn tail_checksum(block: &[u8]) -> Option<u32> {
    let tail = block.get(block.len().checked_sub(TAIL_SIZE)?..)?;
    let is_tail = le32(tail, 0) == 0
        && usize::from(le16(tail, 4)) == TAIL_SIZE
        && byte(tail, 6) == 0
        && byte(tail, 7) == TAIL_FILE_TYPE;
    is_tail.then(|| le32(tail, 8))
}
