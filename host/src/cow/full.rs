//! The diagnosis that an I/O error of a snapshot hides: its COW was full.

use std::time::Duration;

use lvm::Bytes;

use crate::failure::{Cause, Kind};

/// Below this, when it was last seen whole, a COW was not what ended its snapshot: the kernel drops one for an I/O error of the COW's own disk,
/// too, and says so only in its log.
pub const NOT_FULL_PERCENT: u64 = 50;

/// A snapshot was lost because its COW filled up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the COW of {origin} ({cow}) was full after {after_s} s at {rate} a second: the kernel \
     has dropped the snapshot, and what was copied of it is no backup"
)]
pub struct CowFull {
    /// The origin.
    pub origin: String,
    /// Size of its COW.
    pub cow: Bytes,
    /// Seconds from the snapshot to the end of it.
    pub after_s: u64,
    /// What the guest's writes cost in COW space each second, on average.
    pub rate: Bytes,
    /// How full it was when it was last seen whole, in percent; `None` where it was not looked at before.
    pub last_seen_percent: Option<u64>,
}

impl CowFull {
    /// Of a COW of `cow` that lasted for `lasted`, and had `seen` in use when it was last seen whole.
    #[must_use]
    pub fn new(origin: String, cow: Bytes, seen: Option<Bytes>, lasted: Duration) -> Self {
        let last_seen_percent = seen.map(|seen| seen.0.saturating_mul(100) / cow.0.max(1));
        let rate = cow.0 as f64 / lasted.as_secs_f64().max(0.001);
        Self { origin, cow, after_s: lasted.as_secs(), rate: Bytes(rate as u64), last_seen_percent }
    }

    /// Whether it may have been the COW's disk that failed, and not its room: then nobody knows what it needed.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.last_seen_percent.is_some_and(|percent| percent < NOT_FULL_PERCENT)
    }

    /// What would have helped.
    #[must_use]
    pub fn hint(&self) -> String {
        let log = match self.last_seen_percent {
            Some(percent) if self.is_doubtful() => {
                format!("; it was at {percent}% just before, so look in dmesg whether its disk fails")
            }
            _ => String::new(),
        };
        format!(
            "give it a larger --cow-size (twice {} lasts twice as long at this write rate), or back up when the guest \
             writes less{log}",
            self.cow
        )
    }
}

impl From<CowFull> for Cause {
    fn from(full: CowFull) -> Self {
        Self::of(Kind::CowFull, Some(full.hint()), full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::exit::Exit;
    use crate::failure::table::row;

    #[test]
    fn a_full_cow_is_told_with_its_seconds_and_rate() {
        let full = CowFull::new("vg/db".into(), Bytes(1 << 30), Some(Bytes(1 << 29)), Duration::from_secs(128));
        assert!(full.to_string().contains("full after 128 s at 8 MiB a second"), "{full}");
        let cause = Cause::from(full);
        assert_eq!((cause.kind, row(cause.kind, false).exit), (Kind::CowFull, Exit::Failed));
        assert!(cause.hint().contains("twice 1 GiB"), "{}", cause.hint());
    }
}
