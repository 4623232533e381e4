//! How a COW's size is found, by the forecast and by what people do; and what comes of it.

use std::fmt;

use lvm::Bytes;
use stillpoint::cow::forecast::lasts::{Speed, one_after_the_other};
use stillpoint::cow::forecast::size::COW_MIN;
use stillpoint::cow::forecast::{Known, forecast};

use super::nights::{GIB, Night};

/// As many nights are known at most, and so few at least.
const KNOWN: usize = 30;
const LEAST: usize = 3;

#[derive(Clone, Copy)]
pub enum Rule {
    Forecast,
    Bytes(u64),
    Percent(u64),
    /// The smallest size that was enough for all nights, as nobody could know it before.
    Hindsight,
}

impl Rule {
    /// The forecast, and the rules of seed and manual pages.
    pub const ALL: [Self; 7] = [
        Self::Forecast,
        Self::Hindsight,
        Self::Bytes(GIB),
        Self::Percent(3),
        Self::Percent(10),
        Self::Percent(20),
        Self::Percent(30),
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forecast => f.write_str("forecast"),
            Self::Bytes(bytes) => write!(f, "{}", Bytes(*bytes)),
            Self::Percent(percent) => write!(f, "{percent}% of the disk"),
            Self::Hindsight => f.write_str("the best single size, in hindsight"),
        }
    }
}

/// What came of a rule.
pub struct Outcome {
    pub nights: usize,
    pub held: usize,
    pub median_over: f64,
    pub least_over: f64,
    pub most_over: f64,
}

pub fn outcome(nights: &[Night], rule: Rule) -> Outcome {
    let most = nights[LEAST..].iter().map(|night| night.need).fold(0.0, f64::max);
    let mut over: Vec<f64> = (LEAST..nights.len())
        .map(|night| {
            let earlier: Vec<_> =
                nights[night.saturating_sub(KNOWN)..night].iter().map(|night| night.run.clone()).collect();
            let Night { need, disk, run } = &nights[night];
            let size = match rule {
                Rule::Bytes(bytes) => Bytes(bytes),
                Rule::Percent(percent) => Bytes(disk.0 / 100 * percent),
                Rule::Hindsight => Bytes(most.ceil() as u64),
                Rule::Forecast => {
                    let lasts = one_after_the_other(&[Speed::of(&earlier, None, 1, 1).copies(run.copied)]);
                    forecast(&Known { earlier, now: None }, lasts[0]).unwrap().need.max(COW_MIN)
                }
            };
            size.0 as f64 / need.max(1.0)
        })
        .collect();
    over.sort_by(f64::total_cmp);
    Outcome {
        nights: over.len(),
        held: over.iter().filter(|over| **over >= 1.0).count(),
        median_over: over[over.len() / 2],
        least_over: over[0],
        most_over: over[over.len() - 1],
    }
}
