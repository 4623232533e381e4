//! Copies what a disk has allocated into one file that *is* the disk: `zstd -dc` of it gives every byte, first to last.
//!
//! The [seekable zstd format] cuts the disk into frames of one size, each compressed by itself, and ends in a table of
//! where each begins; a decoder that does not know the table skips it. Bytes outside the allocated ranges are zeros.
//!
//! Workers read, hash and compress a frame each; the calling thread writes them in order. So it is the cores that limit
//! the copy (level 1 needs about 2 CPU seconds per GiB), and that limit is also how long a snapshot's COW has to last.
//!
//! [seekable zstd format]: https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md

mod error;
mod frames;
mod give_way;
mod pace;
mod pool;
mod progress;
mod raw_hash;
mod stream;
mod worker;
mod writer;
mod zeros;

use std::{
    io::Write,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use fsprobe::{Extent, ReadAt};

pub use self::{
    error::CopyError,
    pace::Pace,
    progress::Progress,
    stream::{StreamCopy, Streamed},
};
use self::{frames::Frames, pool::Pool, worker::Worker, writer::Writer, zeros::Zeros};

/// Frames for each thread that may be read and not yet written.
const FRAMES_AHEAD: usize = 4;

/// How an artifact is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Raw bytes in a frame: a power of two from 64 KiB to 64 MiB. A random read of the artifact unpacks a whole frame.
    pub frame_size_bytes: u32,
    /// zstd's level. 1 by default: the copy's length is what the snapshot's COW has to survive, and level 3 takes
    /// more than twice the CPU time.
    pub level: i32,
    /// Threads that read and compress. Memory is bounded by them: each holds one raw frame, and four times as many
    /// compressed frames as there are threads may wait to be written.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            frame_size_bytes: 4 << 20,
            level: 1,
            threads: thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}

/// A finished copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Length of the disk.
    pub raw_bytes: u64,
    /// Bytes of it that were read, because a filesystem has them allocated.
    pub allocated_bytes: u64,
    /// Length of the artifact.
    pub stored_bytes: u64,
    /// Frames in the artifact.
    pub frames: u64,
    /// Frames among them that hold only zeros.
    pub zero_frames: u64,
    /// Raw bytes in each frame but the last.
    pub frame_size_bytes: u32,
    /// blake3 of the disk as the artifact holds it: what `zstd -dc NAME.img.zst | b3sum` prints.
    pub raw_blake3: blake3::Hash,
    /// blake3 of the artifact itself: what `b3sum NAME.img.zst` prints.
    pub stored_blake3: blake3::Hash,
    /// From the first read to the last write.
    pub duration: Duration,
}

/// Copies the `allocated` ranges of `source` (sorted, apart from each other) into `sink`, zeros between them.
///
/// Blocks the calling thread. `stop` is obeyed between two frames, and whenever `sink` says [`std::io::ErrorKind::WouldBlock`],
/// which is tried again: a sink should wait a moment before it says so. A write that blocks is waited for.
/// `sink` is not flushed to disk: that is its owner's work (see [`crate::artifact::Partial::finish`]).
///
/// # Errors
/// [`CopyError`]; what `sink` has taken until then is no artifact.
pub fn copy(
    source: &dyn ReadAt,
    allocated: &[Extent],
    sink: &mut dyn Write,
    options: &Options,
    progress: &Progress,
    stop: &AtomicBool,
) -> Result<Copied, CopyError> {
    let started = Instant::now();
    let frames = Frames::new(source.size_bytes(), allocated, options)?;
    let zeros = Zeros::new(&frames, options.level)?;
    let threads = options.threads.max(1);
    let workers = (0..threads)
        .map(|_| Worker::new(source, &frames, &zeros, options.level, progress))
        .collect::<Result<Vec<_>, _>>()?;
    progress.begin(frames.allocated_bytes());
    let stopped = || progress.stopped();

    let mut writer = Writer::new(sink, progress, stop);
    let mut hashes = vec![None; frames.count() as usize];
    let mut zero_frames = 0;
    thread::scope(|scope| {
        let allocated = (0..frames.count()).filter(|&index| frames.is_allocated(index));
        let mut pool = Pool::start(scope, workers, threads * FRAMES_AHEAD, allocated);
        for (index, hash) in (0..).zip(&mut hashes) {
            let mut allocated_bytes = 0;
            let mut stored = None;
            if frames.is_allocated(index) {
                let done = pool.take(index, stop)?.ok_or_else(stopped)?;
                *hash = Some(done.hash);
                (allocated_bytes, stored) = (done.allocated_bytes, done.stored);
            } else if stop.load(Relaxed) {
                return Err(stopped());
            }
            zero_frames += u64::from(stored.is_none());
            let stored = stored.as_deref().unwrap_or(zeros.stored(index));
            writer.frame(stored, frames.size_bytes(index))?;
            progress.frame_written(allocated_bytes, stored.len() as u64);
        }
        Ok(())
    })?;
    progress.source_done();

    // Last, because the source is not needed for it: a snapshot may go while the zeros of a large disk are hashed.
    let hashes = raw_hash::fill_in_zeros(&frames, &mut hashes, &zeros, threads, stop).ok_or_else(stopped)?;
    let (stored_bytes, stored_blake3) = writer.finish()?;
    Ok(Copied {
        raw_bytes: frames.disk_bytes(),
        allocated_bytes: frames.allocated_bytes(),
        stored_bytes,
        frames: frames.count().into(),
        zero_frames,
        frame_size_bytes: options.frame_size_bytes,
        raw_blake3: raw_hash::of_disk(&hashes),
        stored_blake3,
        duration: started.elapsed(),
    })
}
