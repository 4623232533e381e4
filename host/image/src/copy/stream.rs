//! A stream, of which nobody knows how long it will be, into one seekable zstd file: `zstd -dc` of it gives the stream.

use std::{io::Write, sync::atomic::AtomicBool};

use zstd::bulk::Compressor;

use super::{CopyError, Options, Progress, writer::Writer, zeros::compressor};

/// A stream on its way into a file.
pub struct StreamCopy<'s, W: Write> {
    writer: Writer<'s, W>,
    compressor: Compressor<'static>,
    progress: &'s Progress,
    raw_hasher: blake3::Hasher,
    raw_bytes: u64,
    frames: u64,
    /// What does not fill a frame yet.
    frame: Vec<u8>,
    frame_bytes: usize,
}

/// A stream that was written to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    /// Length of the stream.
    pub raw_bytes: u64,
    /// Length of the file.
    pub stored_bytes: u64,
    /// Frames in it.
    pub frames: u64,
    /// blake3 of the stream.
    pub raw_blake3: blake3::Hash,
    /// blake3 of the file.
    pub stored_blake3: blake3::Hash,
}

impl<'s, W: Write> StreamCopy<'s, W> {
    /// Begins one into `sink`. Of `options` it takes the size of a frame and the level: it works on the thread that calls it. `stop` is obeyed
    /// whenever `sink` would block.
    ///
    /// # Errors
    /// Where there is no such level.
    pub fn new(
        sink: &'s mut W,
        options: &Options,
        progress: &'s Progress,
        stop: &'s AtomicBool,
    ) -> Result<Self, CopyError> {
        Ok(Self {
            writer: Writer::new(sink, progress, stop),
            compressor: compressor(options.level)?,
            progress,
            raw_hasher: blake3::Hasher::new(),
            raw_bytes: 0,
            frames: 0,
            frame: Vec::new(),
            frame_bytes: options.frame_size_bytes as usize,
        })
    }

    /// Goes on with `bytes`.
    ///
    /// # Errors
    /// Where `sink` does not take them: what it has taken is no artifact.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.raw_hasher.update(bytes);
        self.raw_bytes += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (fits, later) = rest.split_at(rest.len().min(self.frame_bytes - self.frame.len()));
            self.frame.extend_from_slice(fits);
            rest = later;
            if self.frame.len() == self.frame_bytes {
                self.frame_is_full()?;
            }
        }
        Ok(())
    }

    /// Ends it with the seek table. `sink` is not flushed to disk.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn finish(mut self) -> Result<Streamed, CopyError> {
        if !self.frame.is_empty() {
            self.frame_is_full()?;
        }
        let (stored_bytes, stored_blake3) = self.writer.finish()?;
        let raw_blake3 = self.raw_hasher.finalize();
        Ok(Streamed { raw_bytes: self.raw_bytes, stored_bytes, frames: self.frames, raw_blake3, stored_blake3 })
    }

    fn frame_is_full(&mut self) -> Result<(), CopyError> {
        let stored = self.compressor.compress(&self.frame).map_err(|source| CopyError::Compress { source })?;
        let raw_bytes = self.frame.len() as u32;
        self.writer.frame(&stored, raw_bytes)?;
        self.progress.frame_written(raw_bytes.into(), stored.len() as u64);
        self.frames += 1;
        self.frame.clear();
        Ok(())
    }
}
