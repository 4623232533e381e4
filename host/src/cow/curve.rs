//! How one COW filled, from the snapshot on.

use std::time::Duration;

use lvm::Bytes;

use super::fill;
use super::full::CowFull;

/// A curve is thinned to half whenever it reaches this many points.
const MAX_POINTS: usize = 512;

/// How one COW filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CowCurve {
    /// The origin.
    pub origin: String,
    /// Size of the COW.
    pub total_bytes: u64,
    /// The most that was in use.
    pub peak_bytes: u64,
    /// Milliseconds since the snapshot, and bytes in use then.
    pub points: Vec<(u64, u64)>,
    /// Every how many looks a point is kept.
    stride: usize,
    looks: usize,
    /// The newest point is kept only until there is a newer one.
    is_newest_between: bool,
}

impl CowCurve {
    /// Of a COW that nobody has looked at.
    #[must_use]
    pub fn new(origin: String, cow: Bytes) -> Self {
        Self { origin, total_bytes: cow.0, stride: 1, ..Self::default() }
    }

    /// Adds a look. The newest one is always among the points.
    pub fn add(&mut self, at_ms: u64, used: Bytes, total: Bytes) {
        self.total_bytes = total.0;
        self.peak_bytes = self.peak_bytes.max(used.0);
        if self.is_newest_between {
            self.points.pop();
        }
        if self.points.len() + 1 >= MAX_POINTS {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
        self.is_newest_between = !self.looks.is_multiple_of(self.stride);
        self.points.push((at_ms, used.0));
        self.looks += 1;
    }

    /// In what time after the last look it will be full, going on as it did of late or on the whole, whichever is faster; `None` where it is
    /// not filling.
    #[must_use]
    pub fn full_in(&self) -> Option<Duration> {
        fill::full_in(&self.points, (0, 0), self.total_bytes)
    }

    /// The end of a snapshot whose COW was found full after `elapsed`.
    pub fn overrun(&mut self, elapsed: Duration) -> CowFull {
        let seen = Bytes(std::mem::replace(&mut self.peak_bytes, self.total_bytes));
        let seen = (!self.points.is_empty()).then_some(seen);
        CowFull::new(self.origin.clone(), Bytes(self.total_bytes), seen, elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_of_any_length_stays_bounded_and_keeps_its_peak() {
        let mut curve = CowCurve::new("vg/db".to_owned(), Bytes(1 << 20));
        for second in 0..100_000 {
            curve.add(second * 1000, Bytes(if second == 77_777 { 9999 } else { 1 }), Bytes(1 << 20));
        }
        assert!(curve.points.len() < MAX_POINTS);
        assert_eq!(curve.peak_bytes, 9999);
        assert!(curve.points.is_sorted());
    }

    #[test]
    fn the_newest_look_is_what_counts_however_long_the_curve_is() {
        let mut curve = CowCurve::new("vg/db".to_owned(), Bytes(1 << 20));
        for second in 1..=3_000 {
            curve.add(second * 1000, Bytes(second), Bytes(1 << 20));
            assert_eq!(curve.points.last(), Some(&(second * 1000, second)));
        }
        assert_eq!(curve.full_in(), Some(Duration::from_secs((1 << 20) - 3_000)));
    }
}
