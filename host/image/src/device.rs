//! A disk on this host, read-only: a block device (an LV, a snapshot) or an image file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom},
    os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use fsprobe::ReadAt;
use nix::fcntl::{OFlag, PosixFadviseAdvice, posix_fadvise};
use thiserror::Error;

/// Reads shorter than this leave the page cache alone: metadata is read again, bulk data is not.
const DROP_BEHIND_BYTES: usize = 256 * 1024;

/// To what `O_DIRECT` wants offset, length and memory aligned, at most: no block device has larger logical blocks than a page.
const DIRECT_ALIGNMENT_BYTES: usize = 4096;
/// A direct read is done in pieces of this at most: what goes past the page cache is for a few blocks.
const DIRECT_PIECE_BYTES: usize = 64 * 1024;

/// A block device or image file, opened for reading only; the descriptor does not pass to child processes.
#[derive(Debug)]
pub struct Device {
    file: File,
    path: PathBuf,
    size_bytes: u64,
    is_file: bool,
    drop_behind: bool,
    direct: bool,
}

impl Device {
    /// Opens `path`.
    ///
    /// # Errors
    /// [`DeviceError`], where it cannot be opened, or is neither a block device nor a regular file.
    pub fn open(path: &Path) -> Result<Self, DeviceError> {
        Self::open_with(path, OFlag::empty())
    }

    /// Opens `path` so that every read asks the disk, and no page cache (`O_DIRECT`): somebody else writes to it, past this host's
    /// page cache. A file has no other truth than its pages, and is read as ever.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn open_direct(path: &Path) -> Result<Self, DeviceError> {
        Self::open_with(path, OFlag::O_DIRECT)
    }

    fn open_with(path: &Path, flags: OFlag) -> Result<Self, DeviceError> {
        // The standard library opens with O_CLOEXEC. The kind is looked at before the open, which a FIFO would block.
        let failed = |source| DeviceError::Open { path: path.to_owned(), source };
        let kind = std::fs::metadata(path).map_err(failed)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(DeviceError::NotADisk { path: path.to_owned() });
        }
        let is_file = kind.is_file();
        let flags = if is_file { OFlag::empty() } else { flags };
        let mut file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(failed)?;
        let size_bytes =
            file.seek(SeekFrom::End(0)).map_err(|source| DeviceError::Size { path: path.to_owned(), source })?;
        let direct = flags.contains(OFlag::O_DIRECT);
        Ok(Self { file, path: path.to_owned(), size_bytes, is_file, drop_behind: false, direct })
    }

    /// Opens `path` to be read once from end to end: what long reads bring into the page cache is given back at once,
    /// so that a copy does not push out what the host's own work needs.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn open_for_copy(path: &Path) -> Result<Self, DeviceError> {
        let device = Self { drop_behind: true, ..Self::open(path)? };
        device.advise(0, 0, PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL);
        Ok(device)
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a file, and no block device.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.is_file
    }

    /// As `read_exact_at`, through memory that is aligned.
    fn read_direct(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        let mut memory = vec![0; DIRECT_PIECE_BYTES + DIRECT_ALIGNMENT_BYTES];
        let skipped = memory.as_ptr().align_offset(DIRECT_ALIGNMENT_BYTES);
        let aligned = skipped..skipped.saturating_add(DIRECT_PIECE_BYTES);
        let piece = memory.get_mut(aligned).ok_or_else(|| io::Error::other("memory that cannot be aligned"))?;
        let (mut buf, mut at) = (buf, offset_bytes);
        while !buf.is_empty() {
            let start = at - at % DIRECT_ALIGNMENT_BYTES as u64;
            let before = (at - start) as usize;
            let wanted = (before + buf.len()).next_multiple_of(DIRECT_ALIGNMENT_BYTES).min(piece.len());
            let read = match self.file.read_at(piece.get_mut(..wanted).unwrap_or_default(), start) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            let fresh = piece.get(before..read).unwrap_or_default();
            let count = fresh.len().min(buf.len());
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (now, later) = buf.split_at_mut(count);
            now.copy_from_slice(fresh.get(..count).unwrap_or_default());
            (buf, at) = (later, at + count as u64);
        }
        Ok(())
    }

    /// Advice only: a medium that does not take it is read all the same.
    fn advise(&self, offset_bytes: u64, size_bytes: usize, advice: PosixFadviseAdvice) {
        let (Ok(offset), Ok(size)) = (i64::try_from(offset_bytes), i64::try_from(size_bytes)) else { return };
        if let Err(errno) = posix_fadvise(&self.file, offset, size, advice) {
            tracing::trace!(path = %self.path.display(), %errno, "posix_fadvise");
        }
    }
}

impl ReadAt for Device {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        if self.direct {
            return self.read_direct(buf, offset_bytes);
        }
        self.file.read_exact_at(buf, offset_bytes)?;
        if self.drop_behind && buf.len() >= DROP_BEHIND_BYTES {
            self.advise(offset_bytes, buf.len(), PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        }
        Ok(())
    }
}

/// Why a disk cannot be read at all.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// It does not exist, or may not be read.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// As it was given.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A folder, FIFO, socket or character device.
    #[error("{} is neither a block device nor an image file", path.display())]
    NotADisk {
        /// As it was given.
        path: PathBuf,
    },
    /// Its size cannot be found out.
    #[error("cannot find the size of {}: {source}", path.display())]
    Size {
        /// As it was given.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_is_refused_as_no_disk() {
        let error = Device::open(Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), "/ is neither a block device nor an image file");
    }

    #[test]
    fn a_missing_disk_is_named() {
        let error = Device::open(Path::new("/dev/no-such-vg/no-such-lv")).unwrap_err();
        assert!(error.to_string().starts_with("cannot open /dev/no-such-vg/no-such-lv: No such file"), "{error}");
    }

    #[test]
    fn reads_end_at_the_end_of_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        fs::write(&path, [7; 1000]).unwrap();
        for device in [Device::open, Device::open_for_copy, Device::open_direct].map(|open| open(&path).unwrap()) {
            let mut buf = [0; 10];
            device.read_exact_at(&mut buf, 990).unwrap();
            assert_eq!((device.size_bytes(), buf), (1000, [7; 10]));
            assert_eq!(device.read_exact_at(&mut buf, 991).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
