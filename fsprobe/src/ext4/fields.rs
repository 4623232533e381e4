//! Integers at an offset of an on-disk record.
//!
//! ext4 is little-endian, its journal big-endian. Records have grown over the years, and a shorter, older record means
//! zero in what was added later: so a field beyond the record's end reads as zero.

fn at<const N: usize>(record: &[u8], offset: usize) -> [u8; N] {
    record.get(offset..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

pub(super) fn le16(record: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(at(record, offset))
}

pub(super) fn le32(record: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(at(record, offset))
}

pub(super) fn le64(record: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(at(record, offset))
}

pub(super) fn be16(record: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes(at(record, offset))
}

pub(super) fn be32(record: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes(at(record, offset))
}

pub(super) fn be64(record: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(at(record, offset))
}

pub(super) fn byte(record: &[u8], offset: usize) -> u8 {
    record.get(offset).copied().unwrap_or(0)
}

/// `N` bytes, zero-padded where the record ends before.
pub(super) fn array<const N: usize>(record: &[u8], offset: usize) -> [u8; N] {
    at(record, offset)
}

/// A 64-bit number kept in two halves, as ext4 does where a field had to grow.
pub(super) fn joined(high: u32, low: u32) -> u64 {
    (u64::from(high) << 32) | u64::from(low)
}

/// Writes `value` at `offset`; a place outside of the record is left alone.
pub(super) fn put(record: &mut [u8], offset: usize, value: &[u8]) {
    if let Some(field) = record.get_mut(offset..).and_then(|rest| rest.get_mut(..value.len())) {
        field.copy_from_slice(value);
    }
}

/// NUL-terminated text, unprintable bytes escaped: it comes from the disk and goes to a terminal.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).escape_debug().collect()
}
