//! A snapshot that was taken: what it is, how its COW fills, and whether it still is.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lvm::{Bytes, LvmError, SnapshotState, SnapshotVolume};

use super::curve::CowCurve;
use super::full::CowFull;
use crate::clock::millis;

/// One disk's snapshot.
#[derive(Debug)]
pub struct Attached {
    /// The snapshot.
    pub volume: SnapshotVolume,
    /// Size of its COW.
    pub cow: Bytes,
    /// When it was there: the COW fills from here on.
    pub since: Instant,
    /// How it has filled, as far as somebody looked.
    curve: Mutex<CowCurve>,
}

impl Attached {
    /// A snapshot that is there `since` then.
    #[must_use]
    pub fn new(volume: SnapshotVolume, cow: Bytes, since: Instant) -> Self {
        let curve = Mutex::new(CowCurve::new(volume.origin().to_string(), cow));
        Self { volume, cow, since, curve }
    }

    /// Looks how full the COW is, and keeps it. A snapshot that was lost is a look, too.
    ///
    /// # Errors
    /// Where nobody can tell, or it is no snapshot any more.
    pub fn look(&self) -> Result<SnapshotState, LvmError> {
        let elapsed = self.since.elapsed();
        let state = self.volume.state()?;
        match state {
            SnapshotState::Active { used, total, .. } => {
                self.curve_now().add(millis(elapsed), used.bytes(), total.bytes());
                Ok(state)
            }
            SnapshotState::Invalid | SnapshotState::Overflow => Ok(state),
            SnapshotState::Merging | SnapshotState::Missing | SnapshotState::NotASnapshot => {
                Err(LvmError::SnapshotGone { name: self.volume.name().clone(), state })
            }
        }
    }

    /// How its COW has filled.
    #[must_use]
    pub fn curve(&self) -> CowCurve {
        self.curve_now().clone()
    }

    /// The diagnosis of a snapshot that the kernel has dropped, as a look found now.
    #[must_use]
    pub fn overrun(&self) -> CowFull {
        self.curve_now().overrun(self.since.elapsed())
    }

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

    /// In what time from now its COW will be full, going on as it does; `None` where it is not filling, or nobody has looked.
    #[must_use]
    pub fn full_in(&self) -> Option<Duration> {
        let curve = self.curve_now();
        let seen_ms = curve.points.last()?.0;
        Some(curve.full_in()?.saturating_sub(self.since.elapsed().saturating_sub(Duration::from_millis(seen_ms))))
    }

    fn curve_now(&self) -> MutexGuard<'_, CowCurve> {
        self.curve.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
