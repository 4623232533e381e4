//! What is in a regular file: blocks where it has some, zeros between them.

use std::io;

use super::bmap::{Run, runs};
use super::geometry::Geometry;
use super::inode::Inode;
use crate::read_at::end_of_read;
use crate::{FileError, ReadAt};

/// The content of a file, readable at any offset.
pub(crate) struct Content<'d> {
    volume: &'d dyn ReadAt,
    block_size_bytes: u64,
    size_bytes: u64,
    /// In logical order, without overlap; each ends below 2^63 bytes.
    runs: Vec<Run>,
}

/// The content of the regular file `inode` as it lies on disk: the log is not replayed.
pub(crate) fn file(volume: &dyn ReadAt, inode: u64) -> Result<Content<'_>, FileError> {
    let geometry = Geometry::of(volume)?;
    let inode = Inode::of(volume, &geometry, inode)?;
    let runs = runs(volume, &geometry, &inode)?;
    Ok(Content { volume, block_size_bytes: geometry.block_size_bytes(), size_bytes: inode.di_size, runs })
}

impl Content<'_> {
    fn read_run(&self, run: &Run, buf: &mut [u8], offset_bytes: u64, end_bytes: u64) -> io::Result<()> {
        let run_start = run.logical_block * self.block_size_bytes;
        let run_end = run.end_block() * self.block_size_bytes;
        let (start, end) = (run_start.max(offset_bytes), run_end.min(end_bytes));
        let in_buf = |offset: u64| usize::try_from(offset.saturating_sub(offset_bytes)).unwrap_or(usize::MAX);
        let Some(part) = buf.get_mut(in_buf(start)..in_buf(end)) else { return Ok(()) };
        self.volume.read_exact_at(part, run.offset_bytes + (start - run_start))
    }
}

impl ReadAt for Content<'_> {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        let end = end_of_read(buf, offset_bytes, self.size_bytes)?;
        buf.fill(0);
        let first = self.runs.partition_point(|run| run.end_block() * self.block_size_bytes <= offset_bytes);
        let begins_before_end = |run: &&Run| run.logical_block * self.block_size_bytes < end;
        for run in self.runs.iter().skip(first).take_while(begins_before_end).filter(|run| !run.is_unwritten) {
            self.read_run(run, buf, offset_bytes, end)?;
        }
        Ok(())
    }
}
