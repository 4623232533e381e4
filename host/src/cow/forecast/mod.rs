//! What a snapshot's COW will need: the distinct chunks that the guest writes for the first time while the copy runs.
//!
//! Pure. In order of trust it comes from how the COWs of earlier runs of this disk filled, else from what the disk is given to write now.
//! Where there is neither, nothing is said.

mod bound;
pub mod earlier;
pub mod lasts;
pub mod size;

use std::time::Duration;

use lvm::Bytes;

use self::bound::bound;
use self::earlier::Earlier;
use self::lasts::Lasts;
use super::writes::WriteRate;

/// A rate of a few seconds says nothing of the bursts of an hour: twice as much is reckoned with.
const BURSTS: f64 = 2.0;
/// How much more than ever before a disk that is busier than ever before is taken to need, at most. A few seconds prove no more.
const BUSIER_MAX: f64 = 3.0;
/// Each chunk of 4096 bytes takes 16 bytes of exception table (`struct disk_exception` in drivers/md/dm-snap-persistent.c).
const WITH_TABLE: f64 = 1.0 + 16.0 / 4096.0;

/// What is known of a disk's writes.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Earlier snapshots of it, whatever their order.
    pub earlier: Vec<Earlier>,
    /// What it is given to write now.
    pub now: Option<WriteRate>,
}

/// What the COW of a snapshot will need.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// What it is known from.
    pub basis: Basis,
    /// How long the snapshot is needed.
    pub lasts: Lasts,
    /// What is expected to be in use at its end.
    pub expected: Bytes,
    /// The same with a margin: it is to be enough in 99 of 100 runs.
    pub need: Bytes,
}

/// What a forecast is known from.
#[derive(Clone, Debug, PartialEq)]
pub enum Basis {
    /// How the COWs of earlier runs filled.
    EarlierRuns {
        /// How many.
        runs: usize,
        /// How many times as much as in any of them the disk is given to write now; 1 where it is no more.
        busier: f64,
    },
    /// What the disk is given to write now, an upper bound: what is written again is counted again.
    Measured(WriteRate),
}

/// What the COW of a disk will need, `lasts` long; `None` where nothing is known.
#[must_use]
pub fn forecast(known: &Known, lasts: Lasts) -> Option<Forecast> {
    let Known { earlier, now } = known;
    if earlier.is_empty() {
        return now.map(|rate| measured(rate, lasts));
    }
    let busier = busier(earlier, *now);
    let used: Vec<f64> = earlier.iter().map(|run| run.used_at(lasts.expected)).collect();
    let more = busier.min(BUSIER_MAX);
    let expected = bound::typical(&used) * more;
    let need = bound(&needed(earlier, lasts.expected)) * more;
    let basis = Basis::EarlierRuns { runs: earlier.len(), busier };
    Some(Forecast { basis, lasts, expected: bytes(expected), need: bytes(need.max(expected)) })
}

/// What each run would have needed of a copy that takes most of them so long: slow nights and busy ones are often the same.
fn needed(earlier: &[Earlier], lasts: Duration) -> Vec<f64> {
    let speeds: Vec<f64> = earlier.iter().filter_map(Earlier::speed).collect();
    let typical = bound::typical(&speeds);
    let slower = |run: &Earlier| run.speed().map_or(1.0, |speed| typical / speed);
    earlier.iter().map(|run| run.used_at(lasts.mul_f64(slower(run).clamp(0.01, 100.0)))).collect()
}

fn measured(rate: WriteRate, lasts: Lasts) -> Forecast {
    let per_second = rate.per_second.0 as f64 * WITH_TABLE;
    Forecast {
        basis: Basis::Measured(rate),
        lasts,
        expected: bytes(per_second * lasts.expected.as_secs_f64()),
        need: bytes(per_second * lasts.at_most.as_secs_f64() * BURSTS),
    }
}

/// Writes are compared with writes: how much of them is new to a COW is the disk's own, and in the curves.
fn busier(earlier: &[Earlier], now: Option<WriteRate>) -> f64 {
    let most = earlier.iter().filter_map(|run| run.written_per_second).max();
    match (now, most) {
        (Some(now), Some(most)) if most.0 > 0 => (now.per_second.0 as f64 / most.0 as f64).max(1.0),
        _ => 1.0,
    }
}

/// Upwards, saturating.
fn bytes(bytes: f64) -> Bytes {
    Bytes(bytes.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A run in which the COW filled by so many MiB a second for 100 s, with `written` MiB a second of writes.
    fn run(mib_per_second: u64, written: u64) -> Earlier {
        let points = (0..=100).map(|second| (second * 1000, second * mib_per_second * MIB)).collect();
        Earlier { points, written_per_second: Some(Bytes(written * MIB)), ..Earlier::default() }
    }

    fn rate(mib_per_second: u64) -> WriteRate {
        WriteRate { per_second: Bytes(mib_per_second * MIB), over: Duration::from_secs(5) }
    }

    fn lasts(expected: u64, at_most: u64) -> Lasts {
        Lasts { expected: Duration::from_secs(expected), at_most: Duration::from_secs(at_most) }
    }

    #[test]
    fn of_a_disk_of_which_nothing_is_known_nothing_is_said() {
        assert_eq!(forecast(&Known::default(), lasts(100, 200)), None);
    }

    #[test]
    fn runs_that_were_all_the_same_are_followed_closely() {
        let known = Known { earlier: vec![run(2, 4); 5], now: None };
        let forecast = forecast(&known, lasts(100, 100)).unwrap();
        assert_eq!(forecast.expected, Bytes(200 * MIB));
        assert!(forecast.need >= forecast.expected && forecast.need.0 < 260 * MIB, "{forecast:?}");
    }

    #[test]
    fn a_longer_copy_needs_more() {
        let known = Known { earlier: vec![run(2, 4); 5], now: None };
        assert_eq!(forecast(&known, lasts(300, 300)).unwrap().expected, Bytes(600 * MIB));
    }

    #[test]
    fn a_disk_that_is_busier_than_ever_is_taken_to_need_more_than_ever() {
        let known = |now| Known { earlier: vec![run(2, 4); 5], now: Some(rate(now)) };
        let expected = |now| forecast(&known(now), lasts(100, 100)).unwrap().expected.0 / MIB;
        assert_eq!([expected(1), expected(4), expected(8), expected(1000)], [200, 200, 400, 600]);
        let basis = forecast(&known(1000), lasts(100, 100)).unwrap().basis;
        assert_eq!(basis, Basis::EarlierRuns { runs: 5, busier: 250.0 }, "what is seen is said as it is");
    }

    #[test]
    fn without_earlier_runs_every_write_counts_and_twice_as_much_is_reckoned_with() {
        let known = Known { earlier: Vec::new(), now: Some(rate(1)) };
        let forecast = forecast(&known, lasts(256, 256)).unwrap();
        assert_eq!((forecast.expected, forecast.need), (Bytes(257 * MIB), Bytes(514 * MIB)));
    }
}
