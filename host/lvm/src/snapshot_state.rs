//! What device-mapper says of a snapshot (Documentation/admin-guide/device-mapper/snapshot.rst).

use super::Sectors;

/// What a snapshot is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotState {
    /// Whole: it shows the origin as it was. A COW that is full to the last sector can still be whole.
    Active {
        /// Sectors of the COW in use, metadata included.
        used: Sectors,
        /// Sectors that the COW has.
        total: Sectors,
        /// Sectors of the COW that hold exceptions, not data.
        metadata: Sectors,
    },
    /// The COW was too small: the kernel has dropped the snapshot, and reads of it fail. It never becomes whole again.
    Invalid,
    /// The COW overflowed in a way that lets reads go on, but new writes of the origin are missing from it: as bad as invalid.
    Overflow,
    /// It is being merged into its origin.
    Merging,
    /// There is no such device.
    Missing,
    /// Something else has this name in device-mapper.
    NotASnapshot,
}

impl SnapshotState {
    /// How full the COW is, from 0 to 1; `None` unless active.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a ratio for people and forecasts
    pub fn used_ratio(&self) -> Option<f64> {
        match self {
            Self::Active { used, total, .. } if total.0 > 0 => Some(used.0 as f64 / total.0 as f64),
            _ => None,
        }
    }

    /// Whether what was read from it so far is what the origin was.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Active { .. })
    }
}

/// `START LENGTH snapshot USED/TOTAL METADATA`, or a word in place of the numbers.
pub(super) fn parse(status: &str) -> Result<SnapshotState, String> {
    let mut words = status.trim().splitn(4, char::is_whitespace).skip(2);
    let target = words.next().ok_or_else(|| unknown(status))?;
    of(target, words.next().unwrap_or_default()).map_err(|_| unknown(status))
}

/// How a snapshot is, by the words of its device-mapper target; `None` where they make no sense.
#[must_use]
pub fn snapshot_state_of(target: &str, words: &str) -> Option<SnapshotState> {
    of(target, words).ok()
}

/// The same, of a target of this kind, and of its words.
pub(super) fn of(target: &str, words: &str) -> Result<SnapshotState, String> {
    let unknown = || unknown(words);
    match target {
        "snapshot" => {}
        "snapshot-merge" => return Ok(SnapshotState::Merging),
        _ => return Ok(SnapshotState::NotASnapshot),
    }
    let fill: Vec<&str> = words.split_whitespace().collect();
    match fill.as_slice() {
        ["Invalid"] => Ok(SnapshotState::Invalid),
        ["Overflow"] => Ok(SnapshotState::Overflow),
        ["Merge", "failed"] => Ok(SnapshotState::Merging),
        [fill, metadata] => {
            let (used, total) = fill.split_once('/').ok_or_else(unknown)?;
            let number = |text: &str| text.parse().map(Sectors).map_err(|_| unknown());
            Ok(SnapshotState::Active { used: number(used)?, total: number(total)?, metadata: number(metadata)? })
        }
        _ => Err(unknown()),
    }
}

fn unknown(status: &str) -> String {
    format!("`{}` is no snapshot status", status.trim().chars().take(200).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from dm 4.47 by fixtures/lvm/record.
    #[test]
    fn the_kernels_words_are_understood() {
        let active = SnapshotState::Active { used: Sectors(16), total: Sectors(40960), metadata: Sectors(16) };
        assert_eq!(parse(include_str!("../../../fixtures/lvm/active.status")), Ok(active));
        assert_eq!(parse(include_str!("../../../fixtures/lvm/invalid.status")), Ok(SnapshotState::Invalid));
        assert_eq!(parse(include_str!("../../../fixtures/lvm/origin.status")), Ok(SnapshotState::NotASnapshot));
        assert_eq!(parse("0 614400 snapshot Overflow"), Ok(SnapshotState::Overflow));
        assert_eq!(parse("0 614400 snapshot-merge 16/40960 16"), Ok(SnapshotState::Merging));
    }

    #[test]
    fn a_cow_that_is_full_can_still_be_whole() {
        let full = parse("0 614400 snapshot 40960/40960 176").unwrap();
        assert!(full.is_whole());
        assert_eq!(full.used_ratio(), Some(1.0));
    }

    #[test]
    fn words_that_make_no_sense_are_an_error_and_never_a_whole_snapshot() {
        for status in
            ["", "0 614400", "0 614400 snapshot", "0 614400 snapshot Unknown", "0 1 snapshot 1 2", "0 1 snapshot x/2 3"]
        {
            assert!(parse(status).is_err(), "{status}");
        }
    }
}
