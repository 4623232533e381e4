//! The one way in: positional reads of a disk of known size.

use std::io;

use crate::ProbeError;

/// A disk, image or volume that can be read at any byte offset.
///
/// Implementations are shared between threads and keep no position.
pub trait ReadAt: Send + Sync {
    /// Length in bytes. Reads end here.
    fn size_bytes(&self) -> u64;

    /// Fills `buf` from `offset_bytes`.
    ///
    /// # Errors
    /// `UnexpectedEof` where the range passes the end; else whatever the medium says (`EIO` of a failing disk or of an
    /// invalidated snapshot).
    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        let source = usize::try_from(offset_bytes)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(buf.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(source);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn size_bytes(&self) -> u64 {
        self.as_slice().size_bytes()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buf, offset_bytes)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn size_bytes(&self) -> u64 {
        (**self).size_bytes()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        (**self).read_exact_at(buf, offset_bytes)
    }
}

/// A contiguous part of a disk, addressed from zero: a partition, say.
#[derive(Clone, Copy)]
pub struct Window<'d> {
    disk: &'d dyn ReadAt,
    offset_bytes: u64,
    size_bytes: u64,
}

impl<'d> Window<'d> {
    /// The part of `disk` from `offset_bytes` on, cut at the end of `disk` where it would pass it.
    #[must_use]
    pub fn new(disk: &'d dyn ReadAt, offset_bytes: u64, size_bytes: u64) -> Self {
        let room = disk.size_bytes().saturating_sub(offset_bytes);
        Self { disk, offset_bytes, size_bytes: size_bytes.min(room) }
    }
}

impl ReadAt for Window<'_> {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        end_of_read(buf, offset_bytes, self.size_bytes)?;
        self.disk.read_exact_at(buf, self.offset_bytes + offset_bytes)
    }
}

/// Where a read of `buf` at `offset_bytes` ends; `UnexpectedEof` where that is beyond `size_bytes`.
pub(crate) fn end_of_read(buf: &[u8], offset_bytes: u64, size_bytes: u64) -> io::Result<u64> {
    let end = offset_bytes.checked_add(buf.len() as u64).filter(|end| *end <= size_bytes);
    end.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Reads `length_bytes` from `offset_bytes` for `place`, which names the structure in the error.
///
/// `length_bytes` is the caller's own bound, never a number that the disk supplied.
pub(crate) fn read(
    disk: &dyn ReadAt,
    offset_bytes: u64,
    length_bytes: usize,
    place: &str,
) -> Result<Vec<u8>, ProbeError> {
    let mut buf = vec![0; length_bytes];
    disk.read_exact_at(&mut buf, offset_bytes).map_err(|source| ProbeError::Io {
        place: place.into(),
        offset_bytes,
        length_bytes: length_bytes as u64,
        source,
    })?;
    Ok(buf)
}
