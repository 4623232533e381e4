//! A filesystem as its structures see it: blocks of a volume, and the superblock that says how to read them.

use std::fmt::Display;
use std::io;

use super::fault::Fault;
use super::superblock::Superblock;
use crate::{ProbeError, ReadAt};

/// A volume and the superblock that it is read by. Cheap to pass around by reference; keeps no state.
#[derive(Clone)]
pub struct Filesystem<'d> {
    /// Where the bytes come from: the volume itself, or an [`Overlay`](super::Overlay) of it.
    pub volume: &'d dyn ReadAt,
    /// How to read them.
    pub superblock: Superblock,
}

impl Filesystem<'_> {
    /// Whether `length_blocks` from `first_block` on lie inside the filesystem and after its boot block.
    #[must_use]
    pub fn contains(&self, first_block: u64, length_blocks: u64) -> bool {
        first_block >= u64::from(self.superblock.s_first_data_block)
            && first_block.checked_add(length_blocks).is_some_and(|end| end <= self.superblock.s_blocks_count)
    }

    /// One block, by its number.
    ///
    /// # Errors
    /// As `read_volume`; `block-range` where the filesystem has no such block.
    pub fn read_block(&self, block: u64, place: impl Display) -> Result<Vec<u8>, Fault> {
        if block >= self.superblock.s_blocks_count {
            let detail = format!("block {block} is beyond the filesystem's {} blocks", self.superblock.s_blocks_count);
            return Err(Fault::damage("block-range", place, detail));
        }
        let block_size = self.superblock.block_size_bytes();
        // At most 64 KiB: the superblock was validated.
        let mut bytes = vec![0; usize::try_from(block_size).unwrap_or_default()];
        read_volume(self.volume, &mut bytes, block * block_size, place)?;
        Ok(bytes)
    }
}

/// Fills `buffer` from `offset_bytes` of `volume`.
///
/// # Errors
/// [`Fault::Io`] where the medium fails; `volume-truncated` where the volume ends before.
pub(super) fn read_volume(
    volume: &dyn ReadAt,
    buffer: &mut [u8],
    offset_bytes: u64,
    place: impl Display,
) -> Result<(), Fault> {
    let length_bytes = buffer.len() as u64;
    if offset_bytes.checked_add(length_bytes).is_none_or(|end| end > volume.size_bytes()) {
        let detail =
            format!("byte {offset_bytes} + {length_bytes} is beyond the volume's {} bytes", volume.size_bytes());
        return Err(Fault::damage("volume-truncated", place, detail));
    }
    volume.read_exact_at(buffer, offset_bytes).map_err(|source: io::Error| {
        Fault::Io(ProbeError::Io { place: format!("ext4 {place}"), offset_bytes, length_bytes, source })
    })
}
