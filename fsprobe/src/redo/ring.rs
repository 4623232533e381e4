//! The ring of log bytes, addressed by LSN.

use super::error::RedoError;
use crate::{ProbeError, ReadAt};

/// `START_OFFSET`: where the ring begins in the file.
pub(super) const START_BYTES: u64 = 12288;
const PIECE_BYTES: usize = 64 << 10;
/// LSNs are below it, so that sums of one and a length do not overflow.
pub(super) const LSN_END: u64 = 1 << 62;

pub(super) struct Ring<'f> {
    file: &'f dyn ReadAt,
    first_lsn: u64,
    capacity_bytes: u64,
    /// What was read last, from `piece_at` of the ring on.
    piece: Vec<u8>,
    piece_at: u64,
}

impl<'f> Ring<'f> {
    /// `file` is longer than what is before the ring.
    pub fn new(file: &'f dyn ReadAt, first_lsn: u64) -> Result<Self, RedoError> {
        let capacity_bytes = file.size_bytes().saturating_sub(START_BYTES);
        if first_lsn >= LSN_END || !(1..LSN_END).contains(&capacity_bytes) {
            return Err(RedoError::Bad(format!("it begins at LSN {first_lsn} and has {capacity_bytes} bytes")));
        }
        Ok(Self { file, first_lsn, capacity_bytes, piece: Vec::new(), piece_at: 0 })
    }

    pub fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes
    }

    /// What ends a mini-transaction whose last record ends at `lsn`.
    pub fn sequence_bit(&self, lsn: u64) -> u8 {
        u8::from((lsn.saturating_sub(self.first_lsn) / self.capacity_bytes).is_multiple_of(2))
    }

    /// The bytes from `lsn` on: `length` at most, 64 KiB at most, and not past the end of the ring, but one at least.
    pub fn piece(&mut self, lsn: u64, length: u64) -> Result<&[u8], ProbeError> {
        let at = lsn.saturating_sub(self.first_lsn) % self.capacity_bytes;
        if !(self.piece_at..self.piece_at + self.piece.len() as u64).contains(&at) {
            let room = usize::try_from(self.capacity_bytes - at).unwrap_or(usize::MAX);
            self.piece = crate::read_at::read(self.file, START_BYTES + at, room.min(PIECE_BYTES), "redo log")?;
            self.piece_at = at;
        }
        let start = usize::try_from(at - self.piece_at).unwrap_or(usize::MAX);
        let rest = self.piece.get(start..).unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
        Ok(rest.get(..length).unwrap_or_default())
    }

    /// `N` bytes from `lsn` on, around the end of the ring.
    pub fn array<const N: usize>(&mut self, lsn: u64) -> Result<[u8; N], ProbeError> {
        let mut bytes = [0; N];
        for (byte, at) in bytes.iter_mut().zip(lsn..) {
            *byte = self.piece(at, 1)?.first().copied().unwrap_or(0);
        }
        Ok(bytes)
    }

    /// CRC-32C of the bytes from `start_lsn` to before `end_lsn`.
    pub fn checksum(&mut self, start_lsn: u64, end_lsn: u64) -> Result<u32, ProbeError> {
        let (mut sum, mut at) = (0, start_lsn);
        while at < end_lsn {
            let piece = self.piece(at, end_lsn - at)?;
            sum = crc32c::crc32c_append(sum, piece);
            at += piece.len().max(1) as u64;
        }
        Ok(sum)
    }
}
