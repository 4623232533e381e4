//! How one COW filled, from the snapshot on.

use std::time::Duration;

use lvm::Bytes;

use super::full::CowFull;

/// A curve is thinned to half whenever it reaches this many points.
const MAX_POINTS: usize = 512;

/// A burst of so long is no accident.
const LATELY_MS: u64 = 10_000;

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
}

impl CowCurve {
    /// Of a COW that nobody has looked at.
    #[must_use]
    pub fn new(origin: String, cow: Bytes) -> Self {
        Self { origin, total_bytes: cow.0, stride: 1, ..Self::default() }
    }

    /// Adds a look.
    pub fn add(&mut self, at_ms: u64, used: Bytes, total: Bytes) {
        self.total_bytes = total.0;
        self.peak_bytes = self.peak_bytes.max(used.0);
        if self.looks.is_multiple_of(self.stride) {
            self.points.push((at_ms, used.0));
        }
        self.looks += 1;
        if self.points.len() >= MAX_POINTS {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
    }

    /// In what time after the last look it will be full, going on as it did of late or on the whole, whichever is faster; `None` where it is
    /// not filling.
    #[must_use]
    pub fn full_in(&self) -> Option<Duration> {
        let &(now_ms, used) = self.points.last()?;
        let lately = self.points.iter().rev().find(|(ms, _)| now_ms.saturating_sub(*ms) >= LATELY_MS);
        let rate =
            |&(ms, before): &(u64, u64)| used.saturating_sub(before) as f64 / now_ms.saturating_sub(ms).max(1) as f64;
        let bytes_per_ms = lately.map_or(0.0, rate).max(rate(&(0, 0)));
        if bytes_per_ms <= 0.0 {
            return None;
        }
        let left_ms = self.total_bytes.saturating_sub(used) as f64 / bytes_per_ms;
        Some(Duration::from_secs_f64((left_ms / 1000.0).min(1e9)))
    }

    /// The end of a snapshot whose COW was found full after `elapsed`.
    pub fn overrun(&mut self, elapsed: Duration) -> CowFull {
        let seen = std::mem::replace(&mut self.peak_bytes, self.total_bytes);
        CowFull::new(self.origin.clone(), Bytes(self.total_bytes), Some(Bytes(seen)), elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filling(points: &[(u64, u64)]) -> CowCurve {
        let mut curve = CowCurve::new("vg/db".to_owned(), Bytes(1000));
        points.iter().for_each(|(second, used)| curve.add(second * 1000, Bytes(*used), Bytes(1000)));
        curve
    }

    #[test]
    fn a_cow_that_fills_evenly_is_full_when_the_rest_is() {
        assert_eq!(filling(&[(10, 100), (20, 200), (30, 300)]).full_in(), Some(Duration::from_secs(70)));
    }

    #[test]
    fn a_burst_counts_and_a_pause_does_not() {
        assert_eq!(filling(&[(10, 10), (20, 20), (30, 500)]).full_in().map(|left| left.as_secs()), Some(10));
        assert_eq!(filling(&[(10, 500), (20, 500), (50, 500)]).full_in(), Some(Duration::from_secs(50)));
    }

    #[test]
    fn a_cow_that_nobody_looked_at_or_that_stays_empty_is_never_full() {
        assert_eq!(filling(&[]).full_in(), None);
        assert_eq!(filling(&[(10, 0)]).full_in(), None);
    }

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
}
