//! How fast something fills, and when it will be full.

use std::time::Duration;

/// A burst of so long is no accident.
const LATELY_MS: u64 = 10_000;

/// Milliseconds, and bytes in use then.
pub type Point = (u64, u64);

/// Bytes a second at which it fills: of late or since `first`, whichever is faster; 0 where it does not. `points` are in order of time.
#[must_use]
pub fn per_second(points: &[Point], first: Point) -> f64 {
    let Some(&(now_ms, used)) = points.last() else { return 0.0 };
    let rate =
        |(ms, before): Point| used.saturating_sub(before) as f64 * 1000.0 / now_ms.saturating_sub(ms).max(1) as f64;
    let lately = points.iter().rev().find(|(ms, _)| now_ms.saturating_sub(*ms) >= LATELY_MS);
    let whole = if now_ms > first.0 { rate(first) } else { 0.0 };
    lately.map_or(0.0, |point| rate(*point)).max(whole)
}

/// In what time after the last of `points` it will be full, going on so; `None` where it is not filling.
#[must_use]
pub fn full_in(points: &[Point], first: Point, total: u64) -> Option<Duration> {
    let (per_second, used) = (per_second(points, first), points.last()?.1);
    let seconds = total.saturating_sub(used) as f64 / per_second;
    (per_second > 0.0).then(|| Duration::from_secs_f64(seconds.min(1e9)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(points: &[Point], first: Point) -> Option<u64> {
        full_in(points, first, 1000).map(|left| left.as_secs())
    }

    #[test]
    fn what_fills_evenly_is_full_when_the_rest_is() {
        assert_eq!(left(&[(10_000, 100), (20_000, 200), (30_000, 300)], (0, 0)), Some(70));
    }

    #[test]
    fn a_burst_counts_and_a_pause_does_not() {
        assert_eq!(left(&[(10_000, 10), (20_000, 20), (30_000, 500)], (0, 0)), Some(10));
        assert_eq!(left(&[(10_000, 500), (20_000, 500), (50_000, 500)], (0, 0)), Some(50));
    }

    #[test]
    fn what_was_in_it_before_the_first_look_says_nothing_of_its_rate() {
        let points = [(5_000, 600), (15_000, 700)];
        assert_eq!(left(&points, points[0]), Some(30));
    }

    #[test]
    fn what_nobody_looked_at_twice_or_stays_as_it_is_is_never_full() {
        assert_eq!(left(&[], (0, 0)), None);
        assert_eq!(left(&[(10_000, 0)], (0, 0)), None);
        assert_eq!(left(&[(10_000, 400)], (10_000, 400)), None);
    }
}
