//! How fast a copy goes, and when it will be done. Pure: the clock is passed in.

use std::{collections::VecDeque, time::Duration};

/// The speed is that of the last so long: a pause or a slow stretch shows, and one slow frame does not.
const WINDOW: Duration = Duration::from_secs(15);

/// Looked at from time to time, says how a copy stands.
#[derive(Debug, Default)]
pub struct Meter {
    /// When, since the start, and how many bytes were copied then; within the window, and one before it.
    samples: VecDeque<(Duration, u64)>,
}

/// How a copy stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Allocated bytes copied.
    pub copied_bytes: u64,
    /// Allocated bytes there are.
    pub total_bytes: u64,
    /// Allocated bytes a second, lately; 0 before there is anything to say.
    pub bytes_per_s: f64,
    /// Time left at that speed; `None` while nothing moves.
    pub eta: Option<Duration>,
}

impl Meter {
    /// `copied_bytes` of `total_bytes` are copied, `now` after the start. Neither may go backwards.
    pub fn look(&mut self, now: Duration, copied_bytes: u64, total_bytes: u64) -> Reading {
        if self.samples.is_empty() {
            self.samples.push_back((Duration::ZERO, 0));
        }
        self.samples.push_back((now, copied_bytes));
        while self.samples.get(1).is_some_and(|(then, _)| *then + WINDOW <= now) {
            self.samples.pop_front();
        }
        let (then, before_bytes) = self.samples.front().copied().unwrap_or_default();
        let seconds = now.saturating_sub(then).as_secs_f64();
        let moved_bytes = copied_bytes.saturating_sub(before_bytes) as f64;
        let bytes_per_s = if seconds > 0.0 { moved_bytes / seconds } else { 0.0 };
        let left_bytes = total_bytes.saturating_sub(copied_bytes) as f64;
        let eta = (bytes_per_s > 0.0).then(|| Duration::try_from_secs_f64(left_bytes / bytes_per_s).ok()).flatten();
        Reading { copied_bytes, total_bytes, bytes_per_s, eta }
    }
}

impl Reading {
    /// How much is copied, in percent; 100 where there is nothing to copy.
    #[must_use]
    pub fn percent(&self) -> f64 {
        if self.total_bytes == 0 { 100.0 } else { self.copied_bytes as f64 * 100.0 / self.total_bytes as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const MB: u64 = 1_000_000;

    #[test]
    fn the_time_left_is_what_is_left_at_the_present_speed() {
        let mut meter = Meter::default();
        let reading = meter.look(2 * S, 200 * MB, 1000 * MB);
        assert_eq!((reading.percent(), reading.bytes_per_s, reading.eta), (20.0, 1e8, Some(8 * S)));
    }

    #[test]
    fn a_slow_stretch_shows_once_the_fast_one_is_a_while_ago() {
        let mut meter = Meter::default();
        for second in 1..=20 {
            meter.look(second * S, u64::from(second) * 100 * MB, 10_000 * MB);
        }
        let slow = (21..=60).map(|second| meter.look(second * S, 2000 * MB + u64::from(second - 20) * MB, 10_000 * MB));
        assert_eq!(slow.last().map(|reading| reading.bytes_per_s), Some(1e6));
    }

    #[test]
    fn a_copy_that_stands_still_has_no_time_left_to_name() {
        let mut meter = Meter::default();
        meter.look(S, MB, 10 * MB);
        let reading = meter.look(60 * S, MB, 10 * MB);
        assert_eq!(meter.look(120 * S, MB, 10 * MB).eta, None);
        assert!(reading.percent() == 10.0);
    }

    #[test]
    fn nothing_to_copy_is_all_copied() {
        let reading = Meter::default().look(Duration::ZERO, 0, 0);
        assert_eq!((reading.percent(), reading.eta), (100.0, None));
    }

    #[test]
    fn samples_do_not_pile_up() {
        let mut meter = Meter::default();
        for tenth in 0..10_000_u32 {
            meter.look(tenth * S / 10, tenth.into(), MB);
        }
        assert!(meter.samples.len() < 160, "{}", meter.samples.len());
    }
}
