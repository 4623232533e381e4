//! A snapshot that was taken.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
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

    pub(super) fn lvm(&self) -> &Lvm {
        &self.lvm
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
        if self.is_node(&path) {
            return Ok(path);
        }
        // Waits for all of udev's work, of other devices too.
        self.lvm.settle(deadline);
        while !self.is_node(&path) {
            if start.elapsed() >= deadline {
                return Err(LvmError::NoDevice { path, waited: deadline });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(path)
    }

    /// Whether `path` leads to this snapshot. A link that udev has not removed yet leads to whatever has the number of a device that is
    /// gone: the COW volume had this name before, alone.
    fn is_node(&self, path: &Path) -> bool {
        let Ok(node) = fs::metadata(path) else { return false };
        // A simulated one.
        if node.is_file() {
            return true;
        }
        let (major, minor) = (nix::sys::stat::major(node.rdev()), nix::sys::stat::minor(node.rdev()));
        let name = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/dm/name"));
        name.is_ok_and(|name| name.trim_end() == self.name.dm_name())
    }

    /// How it is now.
    pub fn state(&self) -> Result<SnapshotState, LvmError> {
        self.lvm.snapshot_state(&self.name)
    }
}
