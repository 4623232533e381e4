//! The file, read in pieces that no number in it decides the size of.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

use crate::{ProbeError, ReadAt};

const CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
const PIECE_BYTES: usize = 64 << 10;

/// A file, and the piece of it that was read last.
pub(super) struct Reader<'f> {
    file: &'f dyn ReadAt,
    pub size_bytes: u64,
    piece: Vec<u8>,
    piece_at: u64,
}

impl<'f> Reader<'f> {
    pub fn new(file: &'f dyn ReadAt) -> Self {
        Self { file, size_bytes: file.size_bytes(), piece: Vec::new(), piece_at: 0 }
    }

    /// What is at `offset_bytes`: no more than `length` bytes or 64 KiB, less where the file ends.
    pub fn at(&mut self, offset_bytes: u64, length: usize) -> Result<&[u8], ProbeError> {
        let there = usize::try_from(self.size_bytes.saturating_sub(offset_bytes)).unwrap_or(usize::MAX);
        let length = length.min(PIECE_BYTES).min(there);
        let held = self.piece_at..=self.piece_at + self.piece.len() as u64;
        if !(held.contains(&offset_bytes) && held.contains(&(offset_bytes + length as u64))) {
            let piece_bytes = PIECE_BYTES.min(there);
            self.piece = crate::read_at::read(self.file, offset_bytes, piece_bytes, "binary log")?;
            self.piece_at = offset_bytes;
        }
        let start = usize::try_from(offset_bytes - self.piece_at).unwrap_or(usize::MAX);
        Ok(self.piece.get(start..).and_then(|rest| rest.get(..length)).unwrap_or_default())
    }

    /// `length` bytes from `offset_bytes` on, in pieces.
    fn pieces(
        &mut self,
        offset_bytes: u64,
        length_bytes: u64,
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), ProbeError> {
        let end = offset_bytes.saturating_add(length_bytes).min(self.size_bytes);
        let mut at = offset_bytes;
        while at < end {
            let piece = self.at(at, usize::try_from(end - at).unwrap_or(usize::MAX))?;
            if piece.is_empty() || !take(piece) {
                break;
            }
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// CRC-32, as zlib has it, of `head` and of what follows it in the file.
    pub fn checksum(&mut self, head: &[u8], offset_bytes: u64, length_bytes: u64) -> Result<u32, ProbeError> {
        let mut digest = CRC.digest();
        digest.update(head);
        self.pieces(offset_bytes, length_bytes, |piece| {
            digest.update(piece);
            true
        })?;
        Ok(digest.finalize())
    }

    /// Whether there is nothing but zeros from `offset_bytes` to the end.
    pub fn is_zero_from(&mut self, offset_bytes: u64) -> Result<bool, ProbeError> {
        let mut is_zero = true;
        self.pieces(offset_bytes, u64::MAX, |piece| {
            is_zero = piece.iter().all(|&byte| byte == 0);
            is_zero
        })?;
        Ok(is_zero)
    }
}
