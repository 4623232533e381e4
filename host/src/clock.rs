//! The clock: one of the five seams to the world.

use std::time::{Duration, Instant, SystemTime};

/// Reads the time. A fixed clock makes names and receipts reproducible in tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    fixed_utc: Option<SystemTime>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock whose UTC time stands still at `utc`. Durations still pass.
    #[must_use]
    pub fn fixed(utc: SystemTime) -> Self {
        Self { fixed_utc: Some(utc) }
    }

    /// A point to measure durations from, not affected by clock changes.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// RFC 3339, UTC, to the millisecond.
    #[must_use]
    pub fn utc(&self) -> String {
        humantime::format_rfc3339_millis(self.utc_time()).to_string()
    }

    /// `20261121t195923z`: RFC 3339 basic form, to the second, in characters that file and volume names take.
    #[must_use]
    pub fn stamp(&self) -> String {
        humantime::format_rfc3339_seconds(self.utc_time()).to_string().replace(['-', ':'], "").to_lowercase()
    }

    /// How long ago 1970-01-01T00:00:00 UTC was.
    #[must_use]
    pub fn since_1970(&self) -> Duration {
        self.utc_time().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    fn utc_time(&self) -> SystemTime {
        self.fixed_utc.unwrap_or_else(SystemTime::now)
    }
}

/// Whole milliseconds, for receipts and messages.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
