//! An artifact as the disk that it holds, readable anywhere without unpacking it.
//!
//! The file is untrusted: its seek table is checked against the file's own length before anything is believed, and no
//! frame is unpacked into more than [`MAX_FRAME_BYTES`].

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use fsprobe::ReadAt;
use zeekstd::{BytesWrapper, SEEK_TABLE_INTEGRITY_SIZE, SEEKABLE_MAGIC_NUMBER, SeekTable};
use zstd::{bulk::Decompressor, zstd_safe};

use super::ArtifactError;

/// Frames that an artifact may have: 16 TiB of disk in frames of 4 MiB, and a seek table of 32 MiB.
pub const MAX_FRAMES: u32 = 1 << 22;

/// Raw bytes that one frame may have. Bounds what a reader unpacks at once, and is half of what `zstd -d` takes unasked.
pub const MAX_FRAME_BYTES: u32 = 64 << 20;

/// Unpacked frames that are kept, in bytes. The frame read last is kept however large it is.
const CACHE_BYTES: usize = 64 << 20;

/// Magic number and length field of a skippable frame.
const SKIPPABLE_HEADER_BYTES: usize = 8;

/// A disk inside `NAME.img.zst`: offsets and sizes are those of the disk.
///
/// Any file in the seekable zstd format is read, whoever made it. Every frame that carries a checksum is checked by it.
pub struct ArtifactReader<R> {
    stored: R,
    table: SeekTable,
    size_bytes: u64,
    /// Unpacked frames, the one used last at the end.
    cache: Mutex<Vec<(u32, Arc<[u8]>)>>,
}

impl<R: ReadAt> ArtifactReader<R> {
    /// Reads the seek table of `stored` and checks it.
    ///
    /// # Errors
    /// [`ArtifactError::Format`] where there is no seek table, or one that does not fit the file;
    /// [`ArtifactError::Read`] where the file cannot be read.
    pub fn new(stored: R) -> Result<Self, ArtifactError> {
        let stored_bytes = stored.size_bytes();
        let table_bytes = seek_table_bytes(&stored)?;
        let table = read_at(&stored, stored_bytes - table_bytes as u64, table_bytes)?;
        let table = SeekTable::from_seekable(&mut BytesWrapper::new(&table))
            .map_err(|error| format_error(format!("its seek table is broken: {error}")))?;
        let frames_bytes = table.size_comp();
        if frames_bytes.checked_add(table_bytes as u64) != Some(stored_bytes) {
            return Err(format_error(format!(
                "its frames take {frames_bytes} bytes and its seek table {table_bytes}, but the file has {stored_bytes}"
            )));
        }
        let reader = Self { size_bytes: table.size_decomp(), stored, table, cache: Mutex::default() };
        for index in 0..reader.frame_count() {
            let frame = reader.place(index).map_err(|error| format_error(error.to_string()))?;
            // What zstd can make of a frame of the largest size, and nothing beyond.
            let stored_max = zstd_safe::compress_bound(MAX_FRAME_BYTES as usize);
            if frame.raw_bytes == 0 || frame.raw_bytes > MAX_FRAME_BYTES as usize || frame.stored_bytes > stored_max {
                return Err(format_error(format!(
                    "frame {index} is said to hold {} bytes in {}; 1 to {MAX_FRAME_BYTES} are possible",
                    frame.raw_bytes, frame.stored_bytes
                )));
            }
        }
        Ok(reader)
    }

    /// Number of frames.
    pub fn frame_count(&self) -> u32 {
        self.table.num_frames()
    }

    /// Unpacks frame `index`, past the cache.
    ///
    /// # Errors
    /// [`ArtifactError::Frame`] where it is damaged; [`ArtifactError::Read`] where it cannot be read.
    pub fn unpack(&self, index: u32) -> Result<Vec<u8>, ArtifactError> {
        let place = self.place(index).map_err(|error| format_error(error.to_string()))?;
        let damaged =
            |detail: String| ArtifactError::Frame { frame: index, offset_bytes: place.stored_offset_bytes, detail };
        let stored = read_at(&self.stored, place.stored_offset_bytes, place.stored_bytes)?;
        let raw = Decompressor::new()
            .and_then(|mut zstd| {
                // `decompress` would take the frame's own word for how much to allocate.
                let mut raw = Vec::with_capacity(place.raw_bytes);
                zstd.decompress_to_buffer(&stored, &mut raw)?;
                Ok(raw)
            })
            .map_err(|error| damaged(error.to_string()))?;
        if raw.len() != place.raw_bytes {
            return Err(damaged(format!("{} bytes instead of {}", raw.len(), place.raw_bytes)));
        }
        Ok(raw)
    }

    fn place(&self, index: u32) -> zeekstd::Result<Place> {
        let table = &self.table;
        Ok(Place {
            stored_offset_bytes: table.frame_start_comp(index)?,
            stored_bytes: table.frame_size_comp(index)? as usize,
            raw_offset_bytes: table.frame_start_decomp(index)?,
            raw_bytes: table.frame_size_decomp(index)? as usize,
        })
    }

    /// Frame `index` from the cache, or into it. Two threads that miss the same frame both unpack it; no harm is done.
    fn frame(&self, index: u32) -> Result<Arc<[u8]>, ArtifactError> {
        if let Some(frame) = self.cached(index) {
            return Ok(frame);
        }
        let frame: Arc<[u8]> = self.unpack(index)?.into();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.push((index, Arc::clone(&frame)));
        let mut kept_bytes: usize = cache.iter().map(|(_, frame)| frame.len()).sum();
        while kept_bytes > CACHE_BYTES && cache.len() > 1 {
            kept_bytes -= cache.remove(0).1.len();
        }
        Ok(frame)
    }

    fn cached(&self, index: u32) -> Option<Arc<[u8]>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let position = cache.iter().position(|(cached, _)| *cached == index)?;
        let used = cache.remove(position);
        let frame = Arc::clone(&used.1);
        cache.push(used);
        Some(frame)
    }
}

impl<R: ReadAt> ReadAt for ArtifactReader<R> {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, mut buf: &mut [u8], mut offset_bytes: u64) -> io::Result<()> {
        let end = offset_bytes.checked_add(buf.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.size_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while !buf.is_empty() {
            let index = self.table.frame_index_decomp(offset_bytes);
            let place = self.place(index).map_err(io::Error::other)?;
            let frame = self.frame(index).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let within = frame.get((offset_bytes - place.raw_offset_bytes) as usize..).unwrap_or_default();
            let (now, later) = buf.split_at_mut(within.len().min(buf.len()));
            now.copy_from_slice(&within[..now.len()]);
            offset_bytes += now.len() as u64;
            buf = later;
        }
        Ok(())
    }
}

impl<R> fmt::Debug for ArtifactReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtifactReader")
            .field("size_bytes", &self.size_bytes)
            .field("frames", &self.table.num_frames())
            .finish_non_exhaustive()
    }
}

/// Where a frame is, in the file and on the disk.
struct Place {
    stored_offset_bytes: u64,
    stored_bytes: usize,
    raw_offset_bytes: u64,
    raw_bytes: usize,
}

/// How long the seek table at the end of `stored` is, from the file's last nine bytes (`Seek_Table_Footer`).
fn seek_table_bytes(stored: &impl ReadAt) -> Result<usize, ArtifactError> {
    let stored_bytes = stored.size_bytes();
    let footer_offset = stored_bytes
        .checked_sub((SKIPPABLE_HEADER_BYTES + SEEK_TABLE_INTEGRITY_SIZE) as u64)
        .map(|end| end + SKIPPABLE_HEADER_BYTES as u64)
        .ok_or_else(|| format_error(format!("{stored_bytes} bytes are too few for a seek table")))?;
    let footer = read_at(stored, footer_offset, SEEK_TABLE_INTEGRITY_SIZE)?;
    let [n0, n1, n2, n3, descriptor, ref magic @ ..] = footer[..] else {
        return Err(format_error("no seek table".to_owned()));
    };
    if magic != SEEKABLE_MAGIC_NUMBER.to_le_bytes() {
        return Err(format_error(
            "it does not end in a seek table; it was cut off, or another program made it (`zstd -d` then unpacks it)"
                .to_owned(),
        ));
    }
    let frames = u32::from_le_bytes([n0, n1, n2, n3]);
    if frames > MAX_FRAMES {
        return Err(format_error(format!("its seek table is said to have {frames} frames; {MAX_FRAMES} are possible")));
    }
    let entry_bytes = if descriptor & 0x80 == 0 { 8 } else { 12 };
    let table_bytes = SKIPPABLE_HEADER_BYTES + frames as usize * entry_bytes + SEEK_TABLE_INTEGRITY_SIZE;
    if table_bytes as u64 > stored_bytes {
        return Err(format_error(format!(
            "its seek table is said to have {frames} frames, in a file of {stored_bytes} bytes"
        )));
    }
    Ok(table_bytes)
}

fn read_at(stored: &impl ReadAt, offset_bytes: u64, size_bytes: usize) -> Result<Vec<u8>, ArtifactError> {
    let mut bytes = vec![0; size_bytes];
    stored.read_exact_at(&mut bytes, offset_bytes).map_err(|source| ArtifactError::Read {
        offset_bytes,
        size_bytes: size_bytes as u64,
        source,
    })?;
    Ok(bytes)
}

fn format_error(detail: String) -> ArtifactError {
    ArtifactError::Format { detail }
}
