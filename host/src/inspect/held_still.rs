//! Whether a disk held still while it was read.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use fsprobe::{Extent, ReadAt};

/// Reads that are remembered, and their bytes together: what superblocks, tables and a journal come to.
const MAX_READS: usize = 1 << 16;
const MAX_BYTES: u64 = 64 << 20;

/// A disk whose reads are remembered, so that they can be repeated afterwards.
///
/// Only the first of them are (64 MiB): a structure that says what state a filesystem is in is read early.
pub struct Witness<'d> {
    disk: &'d dyn ReadAt,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    reads: BTreeMap<(u64, u64), blake3::Hash>,
    bytes: u64,
    /// The first read that gave other bytes than before.
    changed: Option<Extent>,
}

impl<'d> Witness<'d> {
    /// Reads of `disk` go through this.
    #[must_use]
    pub fn new(disk: &'d dyn ReadAt) -> Self {
        Self { disk, seen: Mutex::default() }
    }

    /// Repeats the reads that are remembered; the first that gives other bytes than it did.
    ///
    /// One that fails now says nothing about a change.
    #[must_use]
    pub fn changed(&self) -> Option<Extent> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = |&(&(offset_bytes, size_bytes), hash): &(&(u64, u64), &blake3::Hash)| {
            let mut again = vec![0; usize::try_from(size_bytes).unwrap_or(0)];
            self.disk.read_exact_at(&mut again, offset_bytes).is_ok() && blake3::hash(&again) != *hash
        };
        let later = || seen.reads.iter().find(differs);
        seen.changed.or_else(|| later().map(|(&(offset_bytes, size_bytes), _)| Extent { offset_bytes, size_bytes }))
    }
}

impl ReadAt for Witness<'_> {
    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        self.disk.read_exact_at(buf, offset_bytes)?;
        let size_bytes = buf.len() as u64;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (offset_bytes, size_bytes);
        if let Some(before) = seen.reads.get(&place) {
            if *before != blake3::hash(buf) {
                seen.changed.get_or_insert(Extent { offset_bytes, size_bytes });
            }
        } else if seen.reads.len() < MAX_READS && seen.bytes + size_bytes <= MAX_BYTES {
            seen.bytes += size_bytes;
            seen.reads.insert(place, blake3::hash(buf));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives each read another byte in one place.
    struct Restless(Mutex<u8>);

    impl ReadAt for Restless {
        fn size_bytes(&self) -> u64 {
            1 << 30
        }

        fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
            buf.fill(7);
            if let Some(at) = 5000_u64.checked_sub(offset_bytes).filter(|at| *at < buf.len() as u64) {
                let mut count = self.0.lock().unwrap();
                *count += 1;
                buf[at as usize] = *count;
            }
            Ok(())
        }
    }

    #[test]
    fn bytes_that_changed_since_they_were_read_are_named() {
        let disk = Restless(Mutex::default());
        let witness = Witness::new(&disk);
        for offset_bytes in [0, 4096, 8192] {
            witness.read_exact_at(&mut [0; 4096], offset_bytes).unwrap();
        }
        assert_eq!(witness.changed(), Some(Extent { offset_bytes: 4096, size_bytes: 4096 }));
    }

    #[test]
    fn a_disk_that_holds_still_has_not_changed() {
        let disk = vec![1; 10_000];
        let witness = Witness::new(&disk);
        witness.read_exact_at(&mut [0; 4096], 4096).unwrap();
        witness.read_exact_at(&mut [0; 4096], 4096).unwrap();
        assert_eq!(witness.changed(), None);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let disk = Restless(Mutex::default());
        let witness = Witness::new(&disk);
        for megabyte in 1..200 {
            witness.read_exact_at(&mut vec![0; 1 << 20], megabyte << 20).unwrap();
        }
        assert!(witness.seen.lock().unwrap().bytes <= MAX_BYTES);
        assert_eq!(witness.changed(), None);
    }
}
