//! How far a copy is, for whoever looks on while it runs, and how hard it tries, for them to say.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::{
    CopyError,
    pace::{Pace, SharedPace},
};

/// Counters that the copy moves and a reporter polls, each of which only grows; and the pace, which the copy obeys.
#[derive(Debug, Default)]
pub struct Progress {
    total_bytes: AtomicU64,
    copied_bytes: AtomicU64,
    stored_bytes: AtomicU64,
    source_read: AtomicBool,
    pace: SharedPace,
}

impl Progress {
    /// Allocated bytes that there are to copy; 0 before the copy begins.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes.load(Relaxed)
    }

    /// Allocated bytes read, compressed and written.
    pub fn copied_bytes(&self) -> u64 {
        self.copied_bytes.load(Relaxed)
    }

    /// Bytes of the artifact written.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes.load(Relaxed)
    }

    /// Whether the last byte of the source has been read: from here on its snapshot is not needed any more.
    pub fn source_is_read(&self) -> bool {
        self.source_read.load(Relaxed)
    }

    /// How hard it tries.
    pub fn pace(&self) -> Pace {
        self.pace.get()
    }

    /// From the next frame of each thread on.
    pub fn set_pace(&self, pace: Pace) {
        self.pace.set(pace);
    }

    /// The end of a copy that was asked to stop here.
    pub(super) fn stopped(&self) -> CopyError {
        CopyError::Stopped { copied_bytes: self.copied_bytes(), total_bytes: self.total_bytes() }
    }

    pub(super) fn begin(&self, total_bytes: u64) {
        self.total_bytes.store(total_bytes, Relaxed);
    }

    pub(super) fn frame_written(&self, allocated_bytes: u64, stored_bytes: u64) {
        self.copied_bytes.fetch_add(allocated_bytes, Relaxed);
        self.stored_bytes.fetch_add(stored_bytes, Relaxed);
    }

    pub(super) fn source_done(&self) {
        self.source_read.store(true, Relaxed);
    }
}
