//! A snapshot that was taken: what it is, and whether it still is.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lvm::{Bytes, LvmError, SnapshotState, SnapshotVolume};

use super::full::CowFull;

/// udev's time to make a device node, after the window.
const NODE_DEADLINE: Duration = Duration::from_secs(30);

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

    /// Its device node, once udev has made it: the window did not wait for that.
    ///
    /// # Errors
    /// Where it does not appear.
    pub fn wait_for_device(&self) -> Result<PathBuf, LvmError> {
        self.volume.wait_for_device(NODE_DEADLINE)
    }
}
