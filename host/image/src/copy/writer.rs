//! The artifact as it grows: frames, then the seek table.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use blake3::Hasher;
use zeekstd::SeekTable;

use super::{CopyError, Progress};

/// Appends to the target; hashes and counts what it takes.
pub(super) struct Writer<'s, W: Write + ?Sized> {
    sink: &'s mut W,
    progress: &'s Progress,
    stop: &'s AtomicBool,
    hasher: Hasher,
    table: SeekTable,
    stored_bytes: u64,
}

impl<'s, W: Write + ?Sized> Writer<'s, W> {
    pub(super) fn new(sink: &'s mut W, progress: &'s Progress, stop: &'s AtomicBool) -> Self {
        Self { sink, progress, stop, hasher: Hasher::new(), table: SeekTable::new(), stored_bytes: 0 }
    }

    /// Appends a compressed frame that unpacks to `raw_bytes`.
    pub(super) fn frame(&mut self, stored: &[u8], raw_bytes: u32) -> Result<(), CopyError> {
        self.append(stored)?;
        // Compressed frames stay below twice MAX_FRAME_BYTES; the table's own limits are above ours.
        let logged = u32::try_from(stored.len()).ok().map(|stored| self.table.log_frame(stored, raw_bytes));
        match logged {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(CopyError::Compress { source: io::Error::other(error) }),
            None => Err(CopyError::Compress { source: io::ErrorKind::FileTooLarge.into() }),
        }
    }

    /// Appends the seek table. Gives the artifact's length in bytes, and its blake3.
    pub(super) fn finish(mut self) -> Result<(u64, blake3::Hash), CopyError> {
        let mut table = std::mem::take(&mut self.table).into_serializer();
        let mut buf = vec![0; 64 << 10];
        loop {
            match table.write_into(&mut buf) {
                0 => break,
                len => self.append(&buf[..len])?,
            }
        }
        self.sink.flush().map_err(|source| CopyError::write(self.stored_bytes, source))?;
        Ok((self.stored_bytes, self.hasher.finalize()))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.hasher.update(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.sink.write(rest) {
                Ok(0) => return Err(CopyError::write(self.stored_bytes, ErrorKind::WriteZero.into())),
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The sink has waited, and its reader does not read: a stop must not wait for it, too.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.stop.load(Relaxed) {
                        return Err(self.progress.stopped());
                    }
                }
                Err(source) => return Err(CopyError::write(self.stored_bytes, source)),
            }
        }
        self.stored_bytes += bytes.len() as u64;
        Ok(())
    }
}
