//! What is in a file: blocks where it has some, zeros between them, or bytes of the inode itself.

use std::io;

use super::node::Node;
use crate::ext4::fault::Fault;
use crate::ext4::piece::Run;
use crate::ext4::{FileType, Filesystem};
use crate::read_at::end_of_read;
use crate::{Extent, ProbeError, ReadAt};

/// Pieces that a file may be in: 32 MiB of memory while it is read.
const MAX_PIECES: usize = 1 << 20;
/// Pieces that a folder may be in: 2 MiB for each that a walk is in the middle of.
const MAX_FOLDER_PIECES: usize = 1 << 16;
/// The longest symlink target that Linux follows, without its final zero.
const MAX_TARGET_BYTES: u64 = 4095;

/// The content of a file, readable at any offset.
pub struct Content<'d> {
    volume: &'d dyn ReadAt,
    block_size_bytes: u64,
    size_bytes: u64,
    body: Body,
}

enum Body {
    /// In the inode; shorter than the file where zeros follow.
    Inline(Vec<u8>),
    /// In logical order, without overlap.
    Runs(Vec<Run>),
}

impl Content<'_> {
    /// The parts that hold data, in order, neighbours merged; between them, and after them, are holes.
    pub fn data(&self) -> impl Iterator<Item = Extent> {
        let inline = match &self.body {
            Body::Inline(bytes) => Some(Extent::new(0, self.size_bytes.min(bytes.len() as u64))),
            Body::Runs(_) => None,
        };
        let mut runs = self.written_runs().peekable();
        let merged = std::iter::from_fn(move || {
            let first = runs.next()?;
            let start = first.logical_block * self.block_size_bytes;
            let mut end_block = first.logical_block + first.length_blocks;
            while let Some(next) = runs.next_if(|next| next.logical_block == end_block) {
                end_block += next.length_blocks;
            }
            let end = (end_block * self.block_size_bytes).min(self.size_bytes);
            Some(Extent::new(start, end.saturating_sub(start)))
        });
        inline.into_iter().chain(merged).filter(|extent| extent.size_bytes > 0)
    }

    /// The first block of data whose number in the file is `from` or more: that number, and its number in the filesystem.
    pub(super) fn block_from(&self, from: u64) -> Option<(u64, u64)> {
        let Body::Runs(runs) = &self.body else { return None };
        let first = runs.partition_point(|run| run.logical_block + run.length_blocks <= from);
        let run = runs.iter().skip(first).find(|run| !run.is_unwritten)?;
        let logical = run.logical_block.max(from);
        let is_inside = logical < self.size_bytes.div_ceil(self.block_size_bytes);
        is_inside.then_some((logical, run.physical_block + (logical - run.logical_block)))
    }

    /// The file block after the last one that is mapped.
    pub(super) fn end_block(&self) -> u64 {
        let Body::Runs(runs) = &self.body else { return 0 };
        runs.last().map_or(0, |run| run.logical_block + run.length_blocks)
    }

    fn written_runs(&self) -> impl Iterator<Item = &Run> {
        let runs: &[Run] = match &self.body {
            Body::Inline(_) => &[],
            Body::Runs(runs) => runs,
        };
        runs.iter().filter(|run| !run.is_unwritten)
    }

    fn read_run(&self, run: &Run, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        let run_start = run.logical_block * self.block_size_bytes;
        let run_end = run_start + run.length_blocks * self.block_size_bytes;
        let start = run_start.max(offset_bytes);
        let end = run_end.min(offset_bytes + buf.len() as u64);
        let in_buf = |offset: u64| usize::try_from(offset.saturating_sub(offset_bytes)).unwrap_or(usize::MAX);
        let Some(part) = buf.get_mut(in_buf(start)..in_buf(end)) else { return Ok(()) };
        self.volume.read_exact_at(part, run.physical_block * self.block_size_bytes + (start - run_start))
    }
}

impl ReadAt for Content<'_> {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        let end = end_of_read(buf, offset_bytes, self.size_bytes)?;
        buf.fill(0);
        match &self.body {
            Body::Inline(bytes) => {
                let there = usize::try_from(offset_bytes).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
                buf.iter_mut().zip(there).for_each(|(to, from)| *to = *from);
            }
            Body::Runs(runs) => {
                let ends_before =
                    |run: &Run| (run.logical_block + run.length_blocks) * self.block_size_bytes <= offset_bytes;
                let first = runs.partition_point(ends_before);
                let begins_before_end = |run: &&Run| run.logical_block * self.block_size_bytes < end;
                for run in runs.iter().skip(first).take_while(begins_before_end).filter(|run| !run.is_unwritten) {
                    self.read_run(run, buf, offset_bytes)?;
                }
            }
        }
        Ok(())
    }
}

impl<'d> Filesystem<'d> {
    /// The content of a regular file, a folder or a symlink.
    ///
    /// # Errors
    /// `encrypted`; those of [`Filesystem::runs`]; those of extended attributes where the content continues in one.
    pub fn content(&self, node: &Node) -> Result<Content<'d>, Fault> {
        node.readable()?;
        let body = if node.inode.has_inline_data() {
            Body::Inline(self.inline_data(node)?)
        } else if node.inode.is_fast_symlink() {
            Body::Inline(node.inode.i_block.to_vec())
        } else {
            let is_folder = node.file_type == FileType::Directory;
            Body::Runs(self.runs(&node.inode, if is_folder { MAX_FOLDER_PIECES } else { MAX_PIECES })?)
        };
        let has_content = matches!(node.file_type, FileType::Regular | FileType::Directory | FileType::Symlink);
        Ok(Content {
            volume: self.volume,
            block_size_bytes: self.superblock.block_size_bytes(),
            size_bytes: if has_content { node.inode.i_size } else { 0 },
            body,
        })
    }

    /// Where a symlink points to.
    ///
    /// # Errors
    /// `symlink-target` where that is empty, too long for Linux, or has a zero in it; those of [`Filesystem::content`].
    pub fn symlink_target(&self, node: &Node) -> Result<Vec<u8>, Fault> {
        let size = node.inode.i_size;
        let bad = |detail| Fault::damage("symlink-target", node.place(), detail);
        if size == 0 || size > MAX_TARGET_BYTES {
            return Err(bad(format!("its target has {size} bytes; 1 to {MAX_TARGET_BYTES} are possible")));
        }
        let mut target = vec![0; usize::try_from(size).unwrap_or_default()];
        self.content(node)?.read_exact_at(&mut target, 0).map_err(|source| {
            let place = format!("ext4 {}, symlink target", node.place());
            Fault::Io(ProbeError::Io { place, offset_bytes: 0, length_bytes: size, source })
        })?;
        if target.contains(&0) {
            return Err(bad("its target has a zero byte in it".to_owned()));
        }
        Ok(target)
    }
}
