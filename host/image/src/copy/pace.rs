//! How hard a copy tries to be done soon.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// How hard a copy tries to be done soon, at the price of a larger artifact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// At the level that was asked for.
    #[default]
    Planned,
    /// With little compression, and giving way to nobody.
    Fast,
    /// The same, without compression worth the name.
    Stored,
}

impl Pace {
    /// The next faster one; `None` after the last.
    #[must_use]
    pub fn faster(self) -> Option<Self> {
        match self {
            Self::Planned => Some(Self::Fast),
            Self::Fast => Some(Self::Stored),
            Self::Stored => None,
        }
    }

    /// The zstd level, where `planned` was asked for. Negative ones are faster and weaker (zstd(1), `--fast`).
    pub(super) fn level(self, planned: i32) -> i32 {
        match self {
            Self::Planned => planned,
            Self::Fast => planned.min(-5),
            Self::Stored => *zstd::compression_level_range().start(),
        }
    }
}

/// The pace, between the one who watches and those who work.
#[derive(Debug, Default)]
pub(super) struct SharedPace(AtomicU8);

impl SharedPace {
    pub(super) fn get(&self) -> Pace {
        match self.0.load(Relaxed) {
            0 => Pace::Planned,
            1 => Pace::Fast,
            _ => Pace::Stored,
        }
    }

    pub(super) fn set(&self, pace: Pace) {
        self.0.store(pace as u8, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pace_is_kept_and_a_faster_one_compresses_less() {
        let shared = SharedPace::default();
        let mut pace = Some(shared.get());
        let mut level = i32::MAX;
        while let Some(now) = pace {
            shared.set(now);
            assert_eq!(shared.get(), now);
            assert!(now.level(1) < level);
            level = now.level(1);
            pace = now.faster();
        }
        assert_eq!(shared.get(), Pace::Stored);
    }
}
