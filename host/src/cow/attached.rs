//! A snapshot that was taken: what it is, and whether it still is.

use std::time::Instant;

use lvm::{Bytes, SnapshotState, SnapshotVolume};

use super::full::CowFull;

/// One disk's snapshot.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The snapshot.
    pub volume: SnapshotVolume,
    /// Size of its COW.
    pub cow: Bytes,
    /// When it was there: the COW fills from here on.
    pub since: Instant,
}

impl Attached {
    /// The diagnosis where the kernel has dropped it. Reads of it then fail, and know no better than "I/O error".
    #[must_use]
    pub fn full(&self) -> Option<CowFull> {
        match self.volume.state() {
            Ok(SnapshotState::Invalid | SnapshotState::Overflow) => {
                Some(CowFull::new(self.volume.origin().to_string(), self.cow, None, self.since.elapsed()))
            }
            _ => None,
        }
    }
}
