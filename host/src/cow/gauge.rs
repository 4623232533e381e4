//! How full a COW is, between the one who looks and the one who shows it.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How full a snapshot's COW is, as it was last seen: written by whoever watches it, read by the report.
#[derive(Debug)]
pub struct CowGauge {
    /// In hundredths of a percent; `UNKNOWN` before the first look.
    fill: AtomicU32,
}

const UNKNOWN: u32 = u32::MAX;

impl Default for CowGauge {
    fn default() -> Self {
        Self { fill: AtomicU32::new(UNKNOWN) }
    }
}

impl CowGauge {
    /// The COW is `percent` full, from 0 to 100.
    pub fn set_percent(&self, percent: f64) {
        self.fill.store((percent.clamp(0.0, 100.0) * 100.0).round() as u32, Relaxed);
    }

    /// How full it was; `None` where nobody has looked.
    pub fn percent(&self) -> Option<f64> {
        let fill = self.fill.load(Relaxed);
        (fill != UNKNOWN).then(|| f64::from(fill) / 100.0)
    }
}
