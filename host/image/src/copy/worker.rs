//! One thread of a copy: reads a frame's allocated ranges, hashes and compresses it.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender},
    },
    thread,
};

use blake3::hazmat::ChainingValue;
use fsprobe::ReadAt;
use zstd::bulk::Compressor;

use super::{
    CopyError, Pace, Progress,
    frames::Frames,
    give_way::insist,
    raw_hash,
    zeros::{Zeros, compressor},
};

/// Free space up to this long between two ranges is read with them and thrown away: cheaper than another request.
const READ_OVER_BYTES: usize = 32 << 10;

/// How closely the place of a read error is found.
const FIND_ERROR_BYTES: usize = 4096;

/// A frame, ready to be written.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) index: u32,
    /// The compressed frame; `None` where it is all zeros.
    pub(super) stored: Option<Vec<u8>>,
    /// How much of it was allocated.
    pub(super) allocated_bytes: u64,
    pub(super) hash: ChainingValue,
}

/// A frame, or why there is none, or the panic of the thread that worked on it.
pub(super) type Delivery = thread::Result<Result<Done, CopyError>>;

pub(super) struct Worker<'s> {
    source: &'s dyn ReadAt,
    frames: &'s Frames<'s>,
    zeros: &'s Zeros,
    compressor: Compressor<'static>,
    raw: Vec<u8>,
    planned_level: i32,
    progress: &'s Progress,
    pace: Pace,
}

impl<'s> Worker<'s> {
    pub(super) fn new(
        source: &'s dyn ReadAt,
        frames: &'s Frames<'s>,
        zeros: &'s Zeros,
        planned_level: i32,
        progress: &'s Progress,
    ) -> Result<Self, CopyError> {
        let (compressor, raw) = (compressor(planned_level)?, vec![0; zeros.frame_bytes()]);
        Ok(Self { source, frames, zeros, compressor, raw, planned_level, progress, pace: Pace::Planned })
    }

    /// Works on what comes in until nobody asks any more. A panic is delivered too: whoever waits must not wait forever.
    pub(super) fn serve(mut self, queue: &Mutex<Receiver<u32>>, deliver: &SyncSender<Delivery>) {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(index) = next else { return };
            let outcome = catch_unwind(AssertUnwindSafe(|| self.frame(index)));
            if deliver.send(outcome).is_err() {
                return;
            }
        }
    }

    fn frame(&mut self, index: u32) -> Result<Done, CopyError> {
        let size_bytes = self.frames.size_bytes(index);
        let raw = &mut self.raw[..size_bytes as usize];
        let ranges: Vec<_> = self.frames.ranges(index).collect();
        read(self.source, self.frames.offset_bytes(index), &ranges, raw)?;
        let stored = if raw == self.zeros.raw(size_bytes) {
            None
        } else {
            let pace = self.progress.pace();
            if pace != self.pace {
                self.compressor
                    .set_compression_level(pace.level(self.planned_level))
                    .map_err(|source| CopyError::Compress { source })?;
                if self.pace == Pace::Planned {
                    insist();
                }
                self.pace = pace;
            }
            Some(self.compressor.compress(raw).map_err(|source| CopyError::Compress { source })?)
        };
        Ok(Done {
            index,
            stored,
            allocated_bytes: ranges.iter().map(|range| range.len() as u64).sum(),
            hash: raw_hash::of_frame(self.frames, index, raw),
        })
    }
}

/// Fills `raw`, the frame at `frame_offset_bytes`, with the bytes of `ranges`, and zeros everywhere else.
fn read(
    source: &dyn ReadAt,
    frame_offset_bytes: u64,
    ranges: &[Range<usize>],
    raw: &mut [u8],
) -> Result<(), CopyError> {
    for near in ranges.chunk_by(|left, right| right.start - left.end <= READ_OVER_BYTES) {
        let (Some(first), Some(last)) = (near.first(), near.last()) else { continue };
        let offset_bytes = frame_offset_bytes + first.start as u64;
        let Err(error) = source.read_exact_at(&mut raw[first.start..last.end], offset_bytes) else { continue };
        // The failure may be in free space that was read over, which harms nobody.
        tracing::warn!(offset_bytes, size_bytes = last.end - first.start, %error, "a read failed; reading in small steps");
        for range in near {
            read_in_steps(source, frame_offset_bytes, range.clone(), raw)?;
        }
    }
    let mut free_from = 0;
    for range in ranges {
        raw[free_from..range.start].fill(0);
        free_from = range.end;
    }
    raw[free_from..].fill(0);
    Ok(())
}

/// Reads `range` again in small steps, to find the first byte that cannot be read.
fn read_in_steps(
    source: &dyn ReadAt,
    frame_offset_bytes: u64,
    range: Range<usize>,
    raw: &mut [u8],
) -> Result<(), CopyError> {
    let start = frame_offset_bytes + range.start as u64;
    for (step, offset_bytes) in raw[range].chunks_mut(FIND_ERROR_BYTES).zip((start..).step_by(FIND_ERROR_BYTES)) {
        source.read_exact_at(step, offset_bytes).map_err(|source| CopyError::Read {
            offset_bytes,
            size_bytes: step.len() as u64,
            source,
        })?;
    }
    Ok(())
}
