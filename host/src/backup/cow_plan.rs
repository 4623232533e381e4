//! The COW volume of one disk, as planned: its size, why that, and whether it will last.

use std::time::Duration;

use lvm::Bytes;

use crate::clock::millis;
use crate::cow::forecast::lasts::Speed;
use crate::cow::forecast::size::Verdict;
use crate::cow::forecast::{Basis, Forecast};
use crate::documents::plan as document;

/// The COW volume of one disk, as planned.
#[derive(Clone, Debug)]
pub struct CowPlan {
    /// What it will need; `None` where nothing is known.
    pub forecast: Option<Forecast>,
    /// How fast the copy is thought to be.
    pub speed: Speed,
    /// What there is to copy, where that could be seen; else all of the disk.
    pub to_copy: Bytes,
    /// What the group has free for it and those of the other disks.
    pub room: Bytes,
    /// Whether it will last.
    pub verdict: Verdict,
    /// Its size.
    pub size: Bytes,
    /// To what it may be extended while the disk is copied; its size, where it may not.
    pub may_grow_to: Bytes,
    /// What of the group stays free then.
    pub reserve: Bytes,
    /// Why that size.
    pub reason: String,
}

impl CowPlan {
    /// For tests of what a COW does not matter to.
    #[cfg(test)]
    pub(super) fn of_no_matter() -> Self {
        Self {
            forecast: None,
            speed: Speed::Assumed(1.0),
            to_copy: Bytes(0),
            room: Bytes(0),
            verdict: Verdict::NotKnown,
            size: Bytes(0),
            may_grow_to: Bytes(0),
            reserve: Bytes(0),
            reason: String::new(),
        }
    }

    /// How long the copy of the disk takes by itself.
    #[must_use]
    pub fn copy_time(&self) -> Duration {
        self.speed.copies(self.to_copy).expected
    }

    /// How long it is expected to last; `None` where nothing is known, or it never fills.
    #[must_use]
    pub fn full_in(&self) -> Option<Duration> {
        let forecast = self.forecast.as_ref().filter(|forecast| forecast.expected.0 > 0)?;
        let share = self.size.0 as f64 / forecast.expected.0 as f64;
        Some(Duration::from_secs_f64((forecast.lasts.expected.as_secs_f64() * share).min(1e9)))
    }

    /// The forecast as others read it.
    pub(super) fn forecast(&self) -> Option<document::Forecast> {
        self.forecast.as_ref().map(|forecast| self.document(forecast))
    }

    fn document(&self, forecast: &Forecast) -> document::Forecast {
        let basis = match &forecast.basis {
            Basis::EarlierRuns { runs, busier } => {
                document::Basis::EarlierRuns { runs: *runs as u64, busier_percent: (busier * 100.0).round() as u64 }
            }
            Basis::Measured(rate) => {
                document::Basis::Measured { written_per_second: rate.per_second.0, over_ms: millis(rate.over) }
            }
        };
        document::Forecast {
            basis,
            to_copy: self.to_copy.0,
            copy_per_second: self.speed.typical() as u64,
            copy_speed_is_known: matches!(self.speed, Speed::EarlierRuns { .. }),
            lasts_ms: millis(forecast.lasts.expected),
            lasts_at_most_ms: millis(forecast.lasts.at_most),
            expected: forecast.expected.0,
            need: forecast.need.0,
            room: self.room.0,
        }
    }
}

impl From<Verdict> for document::CowVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::CannotFill => Self::CannotFill,
            Verdict::Lasts => Self::Lasts,
            Verdict::Tight => Self::Tight,
            Verdict::WillNotLast => Self::WillNotLast,
            Verdict::NotKnown => Self::NotKnown,
        }
    }
}
