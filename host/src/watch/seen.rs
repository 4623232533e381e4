//! One thing that fills, as far as it was looked at.

use std::time::Duration;

use super::news::News;
use crate::clock::millis;
use crate::cow::fill::{Point, full_in, per_second};
use crate::cow::full::NOT_FULL_PERCENT;
use crate::documents::watch::{Fill, PoolMode};

/// What lies further back says nothing of now.
const KEPT_MS: u64 = 60_000;
/// Looks that are kept, where they come fast.
const POINTS_MAX: usize = 1200;

#[derive(Debug, Default)]
pub(super) struct Seen {
    points: Vec<Point>,
    total: u64,
    /// It was told that it has come to its end.
    is_told: bool,
}

impl Seen {
    pub(super) fn add(&mut self, since: Duration, used: u64, total: u64) {
        let now = millis(since);
        self.total = total;
        self.points.push((now, used));
        let old = self.points.iter().take_while(|(ms, _)| now.saturating_sub(*ms) > KEPT_MS).count();
        self.points.drain(..old.max(self.points.len().saturating_sub(POINTS_MAX)));
    }

    pub(super) fn percent(&self) -> f64 {
        let used = self.points.last().map_or(0, |(_, used)| *used);
        used as f64 * 100.0 / self.total.max(1) as f64
    }

    pub(super) fn fill(&self) -> Fill {
        let first = self.points.first().copied().unwrap_or_default();
        Fill {
            used: self.points.last().map_or(0, |(_, used)| *used),
            total: self.total,
            percent: self.percent(),
            per_second: per_second(&self.points, first) as u64,
            full_in_s: full_in(&self.points, first, self.total).map(|left| left.as_secs()),
        }
    }

    /// A snapshot that the kernel has dropped: why, where it was seen whole before. Once.
    pub(super) fn lost(&mut self, name: &str) -> Option<News> {
        if std::mem::replace(&mut self.is_told, true) {
            return None;
        }
        let name = name.to_owned();
        if self.points.is_empty() {
            return Some(News::FoundLost { name });
        }
        let fill = self.fill();
        let (percent, per_second) = (fill.percent, fill.per_second);
        Some(if percent < NOT_FULL_PERCENT as f64 {
            News::Failed { name, percent }
        } else {
            News::Full { name, percent, per_second }
        })
    }

    /// A pool that can be written to: should it stop, that is news.
    pub(super) fn is_well_again(&mut self) {
        self.is_told = false;
    }

    /// A pool that nobody, or not everybody, can write to any more. Once.
    pub(super) fn stopped(&mut self, name: &str, mode: PoolMode) -> Option<News> {
        let is_told = std::mem::replace(&mut self.is_told, true);
        (!is_told).then(|| News::PoolStopped { name: name.to_owned(), mode })
    }
}
