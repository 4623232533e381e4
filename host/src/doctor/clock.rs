//! The clocks of host and guest.

use super::finding::{Check, Finding, Weight};
use super::seen::{ClockSeen, Seen};
use crate::show::amount::took;
use std::time::Duration;

/// Clocks that are kept by NTP differ by less.
const APART: Duration = Duration::from_secs(2);

pub fn check(seen: &Seen) -> Vec<Finding> {
    match &seen.clock {
        _ if seen.survey.is_off || seen.agent.is_none() => Vec::new(),
        Err(why) => vec![Finding::unseen(Check::Clock, Weight::Note, why)],
        Ok(clock) => vec![of(clock)],
    }
}

fn of(ClockSeen { before, guest_ns, after }: &ClockSeen) -> Finding {
    let ns = |time: &Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
    // The guest answered at some moment between the two.
    let (middle, half) = ((ns(before) + ns(after)) / 2, (ns(after) - ns(before)).abs() / 2);
    let skew = i128::from(*guest_ns) - middle;
    let apart = duration(skew.abs());
    let is_apart = skew.abs() - half > ns(&APART);
    let (uncertain, way) = (took(duration(half)), if skew < 0 { "behind" } else { "ahead of" });
    let what = format!("the guest's clock is {} {way} this host's, give or take {uncertain}", took(apart));
    match is_apart {
        false => Finding::fine(Check::Clock, what),
        true => Finding::note(Check::Clock, what)
            .because(
                "times in the receipt are the host's, those in binlogs and logs the guest's: who restores to a time \
                 misses it by that \
                 much",
            )
            .remedy("let chrony or systemd-timesyncd keep both clocks: `timedatectl` in the guest and here"),
    }
}

fn duration(ns: i128) -> Duration {
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(before_ms: u64, guest_ms: i64, after_ms: u64) -> Finding {
        let guest_ns = guest_ms * 1_000_000;
        of(&ClockSeen { before: Duration::from_millis(before_ms), guest_ns, after: Duration::from_millis(after_ms) })
    }

    #[test]
    fn clocks_that_agree_are_fine_and_told_with_what_the_way_there_leaves_open() {
        let found = seen(1_000_000, 1_000_010, 1_000_030);
        assert_eq!(found.weight, Weight::Fine);
        assert_eq!(found.what, "the guest's clock is 5 ms behind this host's, give or take 15 ms");
    }

    #[test]
    fn clocks_that_are_apart_are_a_note_both_ways() {
        let ahead = seen(1_000_000, 1_090_010, 1_000_020);
        assert_eq!(ahead.weight, Weight::Note);
        assert_eq!(ahead.what, "the guest's clock is 1 min 30 s ahead of this host's, give or take 10 ms");
        assert_eq!(seen(1_000_000, 990_000, 1_000_020).weight, Weight::Note);
    }

    #[test]
    fn a_difference_that_the_way_there_may_have_made_is_none() {
        assert_eq!(seen(1_000_000, 1_009_000, 1_010_000).weight, Weight::Fine);
    }

    #[test]
    fn a_clock_of_before_1970_or_of_the_end_of_time_is_no_panic() {
        for guest_ns in [i64::MIN, i64::MAX] {
            let found = of(&ClockSeen { before: Duration::from_secs(1), guest_ns, after: Duration::from_secs(1) });
            assert_eq!(found.weight, Weight::Note);
        }
    }
}
