//! Frames that hold nothing, compressed once for all of them; and how any frame is compressed.

use std::io;

use zstd::{bulk::Compressor, zstd_safe::CParameter};

use super::{CopyError, frames::Frames};

/// Frames of zeros, compressed once.
pub(super) struct Zeros {
    raw: Vec<u8>,
    full: Vec<u8>,
    last: Vec<u8>,
    last_index: Option<u32>,
}

impl Zeros {
    pub(super) fn new(frames: &Frames<'_>, level: i32) -> Result<Self, CopyError> {
        let last_index = frames.count().checked_sub(1);
        let raw = vec![0; frames.size_bytes(0) as usize];
        let mut compressor = compressor(level)?;
        let mut compress = |raw| compressor.compress(raw).map_err(|source| CopyError::Compress { source });
        let full = compress(&raw)?;
        let last = compress(&raw[..last_index.map_or(0, |last| frames.size_bytes(last) as usize)])?;
        Ok(Self { raw, full, last, last_index })
    }

    /// Raw length of every frame but the last.
    pub(super) fn frame_bytes(&self) -> usize {
        self.raw.len()
    }

    /// Frame `index` as zeros, compressed.
    pub(super) fn stored(&self, index: u32) -> &[u8] {
        if self.last_index == Some(index) { &self.last } else { &self.full }
    }

    /// `size_bytes` zeros, a frame at most.
    pub(super) fn raw(&self, size_bytes: u32) -> &[u8] {
        &self.raw[..size_bytes as usize]
    }
}

/// Compresses a frame at a time, with zstd's own checksum in each.
pub(super) fn compressor(level: i32) -> Result<Compressor<'static>, CopyError> {
    let with_checksum = || {
        if !zstd::compression_level_range().contains(&level) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no compression level {level}")));
        }
        let mut compressor = Compressor::new(level)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(compressor)
    };
    with_checksum().map_err(|source| CopyError::Compress { source })
}
