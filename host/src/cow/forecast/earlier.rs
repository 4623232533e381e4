//! An earlier snapshot of a disk: how its COW filled, and what was copied meanwhile.

use std::time::Duration;

use lvm::Bytes;

/// An earlier snapshot of a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// Milliseconds since the snapshot, and bytes of COW in use then: growing.
    pub points: Vec<(u64, u64)>,
    /// What was copied.
    pub copied: Bytes,
    /// How long that took; nothing where the copy did not come to its end.
    pub copy_time: Option<Duration>,
    /// What the disk was given to write each second, while it was copied.
    pub written_per_second: Option<Bytes>,
}

impl Earlier {
    /// What was in use `at` this time, in bytes. Beyond the end it goes on as it was until then, on the whole: fewer and fewer chunks are
    /// written for the first time, but for bursts.
    #[must_use]
    pub fn used_at(&self, at: Duration) -> f64 {
        let at_ms = at.as_secs_f64() * 1000.0;
        let (mut before, mut after) = ((0.0, 0.0), None);
        for &(ms, used) in &self.points {
            let point = (ms as f64, used as f64);
            if point.0 >= at_ms {
                after = Some(point);
                break;
            }
            before = point;
        }
        let ((ms, used), slope) = match after {
            Some(after) if after.0 > before.0 => (before, (after.1 - before.1) / (after.0 - before.0)),
            Some(after) => (after, 0.0),
            None if before.0 > 0.0 => (before, before.1 / before.0),
            None => (before, 0.0),
        };
        used + slope * (at_ms - ms)
    }

    /// Bytes copied each second.
    #[must_use]
    pub fn speed(&self) -> Option<f64> {
        let seconds = self.copy_time?.as_secs_f64();
        (seconds > 0.0 && self.copied.0 > 0).then(|| self.copied.0 as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(points: &[(u64, u64)]) -> Earlier {
        Earlier { points: points.to_vec(), ..Earlier::default() }
    }

    fn used(run: &Earlier, second: u64) -> f64 {
        run.used_at(Duration::from_secs(second))
    }

    #[test]
    fn between_two_looks_it_is_in_between() {
        let run = run(&[(10_000, 100), (20_000, 300)]);
        assert_eq!([used(&run, 5), used(&run, 10), used(&run, 15), used(&run, 20)], [50.0, 100.0, 200.0, 300.0]);
    }

    #[test]
    fn beyond_the_end_it_goes_on_as_on_the_whole() {
        let run = run(&[(10_000, 300), (20_000, 400)]);
        assert_eq!(used(&run, 40), 800.0);
    }

    #[test]
    fn a_curve_without_points_is_empty() {
        assert_eq!(used(&run(&[]), 100), 0.0);
        assert_eq!(used(&run(&[(0, 4096)]), 100), 4096.0);
    }

    #[test]
    fn a_copy_that_did_not_end_has_no_speed() {
        let whole = Earlier { copied: Bytes(3000), copy_time: Some(Duration::from_secs(3)), ..Earlier::default() };
        assert_eq!(whole.speed(), Some(1000.0));
        assert_eq!(Earlier { copy_time: None, ..whole.clone() }.speed(), None);
        assert_eq!(Earlier { copied: Bytes(0), ..whole }.speed(), None);
    }

    proptest! {
        /// Of a longer time never less.
        #[test]
        fn a_curve_that_grows_is_read_so(steps in prop::collection::vec((1_u64..10_000, 0_u64..1_000_000), 1..40), at in 0_u64..500, more in 0_u64..500) {
            let mut point = (0, 0);
            let points: Vec<_> = steps.iter().map(|step| { point = (point.0 + step.0, point.1 + step.1); point }).collect();
            let run = run(&points);
            prop_assert!(used(&run, at + more) >= used(&run, at) - 1e-6);
        }
    }
}
