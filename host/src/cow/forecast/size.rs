//! How large each COW is made: what was asked for, or what the forecast needs, within the room there is.

use lvm::Bytes;

use super::{Basis, Forecast};

/// Smaller than this a COW volume is filled by a handful of log writes.
pub const COW_MIN: Bytes = Bytes(64 << 20);
/// Fewer earlier runs are no base to make a COW small on.
const RUNS_TO_TRUST: usize = 3;

/// A COW volume that is to be made.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it will need, where anything is known.
    pub forecast: Option<Forecast>,
    /// How its size is found.
    pub asked: Asked,
    /// It may not be larger: a policy's word, or room for every chunk of the origin, of which more is never needed.
    pub most: Bytes,
    /// The group's unit of allocation.
    pub extent: Bytes,
    /// What it gets.
    pub size: Bytes,
}

/// How a size is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A person said it.
    Exactly(Bytes),
    /// By the forecast. Where little is known, not less than this; where nothing is, this.
    ByForecast {
        /// The cautious size.
        cautious: Bytes,
    },
}

/// Whether a COW of some size will last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has room for every chunk of the origin.
    CannotFill,
    /// It has room for the need, with the margin.
    Lasts,
    /// It has room for what is expected, and not for the margin.
    Tight,
    /// It has not even room for what is expected.
    WillNotLast,
    /// Nothing is known of what the guest writes.
    NotKnown,
}

impl Wanted {
    /// It, with `size` not found yet.
    #[must_use]
    pub fn new(forecast: Option<Forecast>, asked: Asked, most: Bytes, extent: Bytes) -> Self {
        Self { forecast, asked, most, extent, size: Bytes(0) }
    }

    /// The size that it should have.
    #[must_use]
    pub fn ideal(&self) -> Bytes {
        match (self.asked, &self.forecast) {
            (Asked::Exactly(size), _) => self.within(size),
            (Asked::ByForecast { cautious }, None) => self.within(cautious.max(COW_MIN)),
            (Asked::ByForecast { .. }, Some(Forecast { basis: Basis::EarlierRuns { runs, .. }, need, .. }))
                if *runs >= RUNS_TO_TRUST =>
            {
                self.within((*need).max(COW_MIN))
            }
            (Asked::ByForecast { cautious }, Some(Forecast { need, .. })) => {
                self.within((*need).max(cautious).max(COW_MIN))
            }
        }
    }

    /// The least that it makes sense with.
    #[must_use]
    pub fn least(&self) -> Bytes {
        match (self.asked, &self.forecast) {
            (Asked::ByForecast { .. }, Some(forecast)) => self.within(forecast.expected.max(COW_MIN)),
            _ => self.ideal(),
        }
    }

    fn within(&self, size: Bytes) -> Bytes {
        size.round_up(self.extent).min(self.most)
    }

    /// Whether it will last, `whole` being room for every chunk of the origin.
    #[must_use]
    pub fn verdict(&self, whole: Bytes) -> Verdict {
        match &self.forecast {
            _ if self.size >= whole => Verdict::CannotFill,
            None => Verdict::NotKnown,
            Some(forecast) if self.size >= forecast.need => Verdict::Lasts,
            Some(forecast) if self.size >= forecast.expected => Verdict::Tight,
            Some(_) => Verdict::WillNotLast,
        }
    }
}

/// Gives the COW volumes of one group their sizes, out of what is `free` in it.
///
/// # Errors
/// What they need at least, together, where that is more.
pub fn share_out(group: &mut [&mut Wanted], free: Bytes) -> Result<(), Bytes> {
    let sum = |of: fn(&Wanted) -> Bytes| group.iter().fold(0_u64, |sum, wanted| sum.saturating_add(of(wanted).0));
    let (ideal, least) = (sum(Wanted::ideal), sum(Wanted::least));
    if least > free.0 {
        return Err(Bytes(least));
    }
    let (over, wanted_over) = (free.0 - least, ideal.saturating_sub(least));
    for wanted in group {
        let (ideal, least) = (wanted.ideal(), wanted.least());
        wanted.size = if over >= wanted_over {
            ideal
        } else {
            // In proportion to what each would have more, in whole extents: what is over then stays free.
            let share = u128::from(ideal.0 - least.0) * u128::from(over) / u128::from(wanted_over.max(1));
            let share = share as u64;
            Bytes(least.0 + share - share.checked_rem(wanted.extent.0).unwrap_or(0))
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lasts::Lasts;
    use super::*;

    const MIB: u64 = 1 << 20;
    const EXTENT: Bytes = Bytes(4 * MIB);

    fn forecast(runs: usize, expected: u64, need: u64) -> Option<Forecast> {
        let basis = Basis::EarlierRuns { runs, busier: 1.0 };
        Some(Forecast { basis, lasts: Lasts::default(), expected: Bytes(expected * MIB), need: Bytes(need * MIB) })
    }

    fn by_forecast(forecast: Option<Forecast>, cautious: u64) -> Wanted {
        Wanted::new(forecast, Asked::ByForecast { cautious: Bytes(cautious * MIB) }, Bytes(10_000 * MIB), EXTENT)
    }

    fn sizes<const N: usize>(mut wanted: [Wanted; N], free: u64) -> Result<[u64; N], u64> {
        let mut group: Vec<&mut Wanted> = wanted.iter_mut().collect();
        share_out(&mut group, Bytes(free * MIB)).map_err(|needed| needed.0 / MIB)?;
        Ok(wanted.map(|wanted| wanted.size.0 / MIB))
    }

    #[test]
    fn a_size_that_a_person_asks_for_is_what_they_get() {
        let wanted = Wanted::new(forecast(9, 100, 200), Asked::Exactly(Bytes(77 * MIB)), Bytes(10_000 * MIB), EXTENT);
        assert_eq!(sizes([wanted.clone()], 1000), Ok([80]));
        assert_eq!(sizes([wanted], 79), Err(80));
    }

    #[test]
    fn a_few_runs_make_a_cow_larger_and_never_smaller() {
        assert_eq!(sizes([by_forecast(forecast(2, 100, 200), 800)], 5000), Ok([800]));
        assert_eq!(sizes([by_forecast(forecast(2, 1000, 2000), 800)], 5000), Ok([2000]));
        assert_eq!(sizes([by_forecast(None, 800)], 5000), Ok([800]));
    }

    #[test]
    fn many_runs_are_believed() {
        assert_eq!(sizes([by_forecast(forecast(3, 100, 200), 800)], 5000), Ok([200]));
        assert_eq!(sizes([by_forecast(forecast(3, 1, 2), 800)], 5000), Ok([64]));
    }

    #[test]
    fn little_room_is_shared_by_what_each_would_have_more() {
        let wanted = || [by_forecast(forecast(3, 100, 200), 800), by_forecast(forecast(3, 400, 800), 800)];
        assert_eq!(sizes(wanted(), 1000), Ok([200, 800]));
        assert_eq!(sizes(wanted(), 750), Ok([148, 600]));
        assert_eq!(sizes(wanted(), 500), Ok([100, 400]));
        assert_eq!(sizes(wanted(), 499), Err(500));
    }

    #[test]
    fn of_a_disk_of_which_nothing_is_known_the_cautious_size_has_to_fit() {
        assert_eq!(sizes([by_forecast(None, 800)], 799), Err(800));
    }

    #[test]
    fn a_verdict_says_what_a_size_is_enough_for() {
        let verdict = |size: u64, forecast| {
            let wanted = Wanted { size: Bytes(size * MIB), ..by_forecast(forecast, 1) };
            wanted.verdict(Bytes(1000 * MIB))
        };
        let known = || forecast(3, 100, 200);
        assert_eq!(verdict(1000, None), Verdict::CannotFill);
        assert_eq!(verdict(999, None), Verdict::NotKnown);
        assert_eq!(verdict(200, known()), Verdict::Lasts);
        assert_eq!(verdict(199, known()), Verdict::Tight);
        assert_eq!(verdict(99, known()), Verdict::WillNotLast);
    }

    proptest! {
        #[test]
        fn nobody_gets_what_is_not_there(wanted in prop::collection::vec((0_u64..3000, 0_u64..3000, 0_usize..5, 1_u64..3000), 1..6), free in 0_u64..10_000) {
            let mut wanted: Vec<Wanted> = wanted
                .into_iter()
                .map(|(expected, more, runs, cautious)| by_forecast(forecast(runs, expected, expected + more), cautious))
                .collect();
            let mut group: Vec<&mut Wanted> = wanted.iter_mut().collect();
            match share_out(&mut group, Bytes(free * MIB)) {
                Ok(()) => {
                    prop_assert!(wanted.iter().map(|wanted| wanted.size.0).sum::<u64>() <= free * MIB);
                    for wanted in &wanted {
                        prop_assert!(wanted.size >= wanted.least() && wanted.size <= wanted.ideal(), "{wanted:?}");
                        prop_assert!(wanted.size.0 % EXTENT.0 == 0);
                    }
                }
                Err(needed) => prop_assert!(needed.0 > free * MIB),
            }
        }
    }
}
