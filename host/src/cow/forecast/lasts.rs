//! How long the snapshot of each disk is needed: until its copy is done, which waits for those before it.

use std::time::Duration;

use lvm::Bytes;

use super::bound;
use super::earlier::Earlier;

/// From the snapshots to the first byte copied: device nodes, and what the snapshots prove.
const BEFORE_THE_COPY: Duration = Duration::from_secs(5);
/// What a thread reads, hashes and compresses each second, at level 1: half of what an idle core of 2020 does.
const BYTES_PER_THREAD: f64 = 256.0 * 1024.0 * 1024.0;
/// A copy reads one disk's snapshot, in which the guest's writes move every chunk once, and writes elsewhere.
const OF_THE_READING_SPEED: f64 = 0.5;
/// A copy gets slower while a COW fills, and slower than ever on a busy day.
const SLOWER_THAN_EVER: f64 = 1.25;
/// A speed that nobody has seen yet.
const SLOWER_THAN_THOUGHT: f64 = 2.0;

/// How long something lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lasts {
    /// As it is thought.
    pub expected: Duration,
    /// With a margin.
    pub at_most: Duration,
}

/// What a copy's speed is known from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// Copies of earlier runs: the middle one's, and the slowest one's, in bytes a second.
    EarlierRuns {
        /// As most of them.
        typical: f64,
        /// As the slowest of them.
        slowest: f64,
    },
    /// The disk's own, and what the threads do: bytes a second, that nobody has seen in a copy yet.
    Assumed(f64),
}

impl Speed {
    /// Of copies by `threads` at a zstd `level`, of a disk that was read at so many bytes a second just now.
    #[must_use]
    pub fn of(earlier: &[Earlier], read: Option<f64>, threads: usize, level: i32) -> Self {
        let speeds: Vec<f64> = earlier.iter().filter_map(Earlier::speed).collect();
        if !speeds.is_empty() {
            let slowest = speeds.iter().copied().fold(f64::INFINITY, f64::min);
            return Self::EarlierRuns { typical: bound::typical(&speeds), slowest };
        }
        // Level 3 takes 2.5 times the time of level 1, level 9 some ten times.
        let by_level = BYTES_PER_THREAD / f64::from(level.max(1));
        let threads = by_level * threads as f64;
        Self::Assumed(read.map_or(threads, |read| threads.min(read * OF_THE_READING_SPEED)).max(1.0))
    }

    /// As most copies, in bytes a second.
    #[must_use]
    pub fn typical(&self) -> f64 {
        match self {
            Self::EarlierRuns { typical: speed, .. } | Self::Assumed(speed) => *speed,
        }
    }

    /// How long a copy of so much lasts.
    #[must_use]
    pub fn copies(&self, allocated: Bytes) -> Lasts {
        let seconds = |speed: f64| Duration::from_secs_f64((allocated.0 as f64 / speed.max(1.0)).min(1e9));
        match self {
            Self::EarlierRuns { typical, slowest } => {
                Lasts { expected: seconds(*typical), at_most: seconds(*slowest / SLOWER_THAN_EVER) }
            }
            Self::Assumed(speed) => Lasts { expected: seconds(*speed), at_most: seconds(*speed / SLOWER_THAN_THOUGHT) },
        }
    }
}

/// How long each snapshot is needed, in the order in which the disks are copied, whose copies last so long.
#[must_use]
pub fn one_after_the_other(copies: &[Lasts]) -> Vec<Lasts> {
    let mut until = Lasts { expected: BEFORE_THE_COPY, at_most: BEFORE_THE_COPY * 2 };
    let needed = |copy: &Lasts| {
        until = Lasts { expected: until.expected + copy.expected, at_most: until.at_most + copy.at_most };
        until
    };
    copies.iter().map(needed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn copy(seconds: u64) -> Earlier {
        Earlier { copied: Bytes(GIB), copy_time: Some(Duration::from_secs(seconds)), ..Earlier::default() }
    }

    #[test]
    fn a_copy_is_as_fast_as_most_before_it_and_at_worst_slower_than_the_slowest() {
        let speed = Speed::of(&[copy(10), copy(12), copy(16)], Some(1.0), 1, 1);
        let lasts = speed.copies(Bytes(2 * GIB));
        assert_eq!((lasts.expected.as_secs(), lasts.at_most.as_secs()), (24, 40));
    }

    #[test]
    fn a_disk_that_was_never_copied_is_copied_as_fast_as_it_is_read_or_compressed() {
        let threads = Speed::of(&[], None, 2, 1);
        assert_eq!(threads.copies(Bytes(GIB)).expected.as_secs(), 2);
        let slow_disk = Speed::of(&[], Some(GIB as f64 / 10.0), 2, 1);
        assert_eq!(slow_disk.copies(Bytes(GIB)).expected.as_secs(), 20);
        assert_eq!(slow_disk.copies(Bytes(GIB)).at_most.as_secs(), 40);
    }

    #[test]
    fn a_copy_that_did_not_end_tells_no_speed() {
        let cut_off = Earlier { copy_time: None, ..copy(1) };
        assert_eq!(Speed::of(&[cut_off], None, 1, 1), Speed::of(&[], None, 1, 1));
    }

    #[test]
    fn a_snapshot_is_needed_until_all_before_it_are_copied() {
        let seconds = |expected, at_most| Lasts {
            expected: Duration::from_secs(expected),
            at_most: Duration::from_secs(at_most),
        };
        let needed = one_after_the_other(&[seconds(10, 20), seconds(30, 60)]);
        assert_eq!(needed, [seconds(15, 30), seconds(45, 90)]);
    }

    #[test]
    fn no_disk_is_too_slow_to_be_reckoned_with() {
        let lasts = Speed::of(&[], Some(0.0), 1, 19).copies(Bytes(u64::MAX));
        assert!(lasts.expected <= lasts.at_most);
    }
}
