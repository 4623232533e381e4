//! A snapshot that was taken.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::{LvName, Lvm, LvmError, SnapshotState};

/// A snapshot of an origin. [`Lvm::remove`] removes it.
#[derive(Debug, Clone)]
pub struct SnapshotVolume {
    lvm: Lvm,
    name: LvName,
    origin: LvName,
}

impl SnapshotVolume {
    pub(super) fn new(lvm: Lvm, name: LvName, origin: LvName) -> Self {
        Self { lvm, name, origin }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &LvName {
        &self.name
    }

    /// What it is a snapshot of.
    #[must_use]
    pub fn origin(&self) -> &LvName {
        &self.origin
    }

    /// Its device node; wait for it first. To be opened read-only, and never mounted: a mount replays the journal, and writes.
    #[must_use]
    pub fn device_path(&self) -> PathBuf {
        self.lvm.device_path(&self.name)
    }

    /// Waits until udev has made the device node, which the window did not wait for.
    pub fn wait_for_device(&self, deadline: Duration) -> Result<PathBuf, LvmError> {
        let path = self.device_path();
        let start = Instant::now();
        self.lvm.settle(deadline);
        while !path.exists() {
            if start.elapsed() >= deadline {
                return Err(LvmError::NoDevice { path, waited: deadline });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(path)
    }

    /// How it is now.
    pub fn state(&self) -> Result<SnapshotState, LvmError> {
        self.lvm.snapshot_state(&self.name)
    }
}
