//! A volume as it would be after its journal was replayed, without writing.

use std::collections::BTreeMap;
use std::io;

use super::journal::Copied;
use crate::ReadAt;

/// jbd2's magic number, which an escaped copy has lost.
const JOURNAL_MAGIC: [u8; 4] = 0xc03b_3998_u32.to_be_bytes();

/// A volume through which a replayed journal is seen. Where there was nothing to replay it is the volume.
///
/// Of full commits it keeps no block in memory: only which block of the journal replaces which of the filesystem (as many
/// as the journal has blocks, at most). What fast commits change it has to keep, and what a replay changes in the superblock
/// and the journal's own.
#[derive(Clone)]
pub struct Overlay<'d> {
    base: &'d dyn ReadAt,
    block_size_bytes: u64,
    copies: BTreeMap<u64, Copied>,
    /// Blocks whose content is none that lies anywhere on the volume; applied after the copies.
    written: BTreeMap<u64, Vec<u8>>,
    /// Bytes that are different still, with their offset; applied last.
    patches: Vec<(u64, Vec<u8>)>,
}

impl<'d> Overlay<'d> {
    /// `base` as it is.
    #[must_use]
    pub fn plain(base: &'d dyn ReadAt) -> Self {
        Self { base, block_size_bytes: 1024, copies: BTreeMap::new(), written: BTreeMap::new(), patches: Vec::new() }
    }

    /// `base` with some blocks read from elsewhere in it.
    #[must_use]
    pub(super) fn new(base: &'d dyn ReadAt, block_size_bytes: u64, copies: BTreeMap<u64, Copied>) -> Self {
        Self { base, block_size_bytes, copies, written: BTreeMap::new(), patches: Vec::new() }
    }

    /// Has whole blocks read as they are in `blocks`.
    pub(super) fn write(&mut self, blocks: BTreeMap<u64, Vec<u8>>) {
        self.written = blocks;
    }

    /// Has `bytes` read at `offset_bytes`.
    pub(super) fn patch(&mut self, offset_bytes: u64, bytes: Vec<u8>) {
        self.patches.push((offset_bytes, bytes));
    }

    /// Blocks that a replay writes, from the journal or worked out from fast commits.
    #[must_use]
    pub fn replayed_blocks(&self) -> u64 {
        let only_written = self.written.keys().filter(|block| !self.copies.contains_key(block)).count();
        (self.copies.len() + only_written) as u64
    }
}

impl ReadAt for Overlay<'_> {
    fn size_bytes(&self) -> u64 {
        self.base.size_bytes()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        self.base.read_exact_at(buf, offset_bytes)?;
        let block_size = self.block_size_bytes;
        let end = offset_bytes.saturating_add(buf.len() as u64);
        for (&block, copied) in self.copies.range(offset_bytes / block_size..end.div_ceil(block_size)) {
            let block_start = block * block_size;
            let mut copy = vec![0; overlap(block_start, block_size, offset_bytes, end)];
            let skipped = offset_bytes.saturating_sub(block_start);
            self.base.read_exact_at(&mut copy, copied.from_block * block_size + skipped)?;
            put(buf, offset_bytes, block_start + skipped, &copy);
            if copied.is_escaped {
                put(buf, offset_bytes, block_start, &JOURNAL_MAGIC);
            }
        }
        for (&block, bytes) in self.written.range(offset_bytes / block_size..end.div_ceil(block_size)) {
            put(buf, offset_bytes, block * block_size, bytes);
        }
        for (patch_start, bytes) in &self.patches {
            put(buf, offset_bytes, *patch_start, bytes);
        }
        Ok(())
    }
}

/// How much of the block at `start` lies in `from..end`.
fn overlap(start: u64, length: u64, from: u64, end: u64) -> usize {
    let bytes = (start + length).min(end).saturating_sub(start.max(from));
    usize::try_from(bytes).unwrap_or(0)
}

/// Copies the part of `source`, which begins at `source_start`, that `target`, which begins at `target_start`, has room for.
fn put(target: &mut [u8], target_start: u64, source_start: u64, source: &[u8]) {
    let skip_source = usize::try_from(target_start.saturating_sub(source_start)).unwrap_or(usize::MAX);
    let skip_target = usize::try_from(source_start.saturating_sub(target_start)).unwrap_or(usize::MAX);
    let (Some(source), Some(target)) = (source.get(skip_source..), target.get_mut(skip_target..)) else { return };
    let length = source.len().min(target.len());
    if let (Some(source), Some(target)) = (source.get(..length), target.get_mut(..length)) {
        target.copy_from_slice(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_reads_as_the_replayed_whole_does() {
        let base: Vec<u8> = (0..8192_u32).map(|i| (i / 32) as u8).collect();
        let copies = BTreeMap::from([
            (1, Copied { from_block: 6, is_escaped: true }),
            (2, Copied { from_block: 7, is_escaped: false }),
        ]);
        let mut overlay = Overlay::new(&base, 1024, copies);
        overlay.write(BTreeMap::from([(2, vec![0xdd; 1024]), (4, vec![0xee; 1024])]));
        overlay.patch(3000, vec![0xff; 200]);
        assert_eq!(overlay.replayed_blocks(), 3);
        let mut whole = base.clone();
        whole.copy_within(6144..8192, 1024);
        whole[1024..1028].copy_from_slice(&JOURNAL_MAGIC);
        whole[2048..3072].fill(0xdd);
        whole[4096..5120].fill(0xee);
        whole[3000..3200].fill(0xff);

        for start in (0..5190).step_by(7) {
            for length in [0, 1, 3, 5, 100, 1024, 1500, 3000] {
                let mut buffer = vec![0; length];
                overlay.read_exact_at(&mut buffer, start as u64).unwrap();
                assert_eq!(buffer, whole[start..start + length], "{start} + {length}");
            }
        }
    }

    #[test]
    fn a_read_beyond_the_end_fails_as_that_of_the_volume_does() {
        let base = vec![0; 2048];
        let error = Overlay::plain(&base).read_exact_at(&mut [0; 2], 2047).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
