//! From what earlier runs needed: what the next one will not exceed, in 99 of 100 cases.
//!
//! What runs of one disk need is taken to be spread evenly in proportion, not in bytes: twice as much is as likely as half as much. So it
//! is the prediction bound of a normal distribution of their logarithms, by Student's t for as few runs as there are
//! (Hahn and Meeker, Statistical Intervals, section 4.7).

/// What a run takes that is not worth telling from none: a COW is never smaller than several of it.
const FLOOR_BYTES: f64 = 16.0 * 1024.0 * 1024.0;
/// No disk writes as a distribution has it: a tenth more. And runs that were all the same are no promise.
const LEAST: f64 = 1.1;
/// A few runs bound nothing. What is beyond this many times their most, nobody could have known from them.
const MOST: f64 = 3.0;
/// The share of one run that is never told by another: the bound of a single one.
const OF_ONE: f64 = 2.0;

/// Student's t, one-sided, 0.99, for 1 degree of freedom and more; beyond its end it is as good as that of a normal distribution.
#[allow(clippy::approx_constant, reason = "a quantile that happens to be near e")]
const T_99: [f64; 30] = [
    31.821, 6.965, 4.541, 3.747, 3.365, 3.143, 2.998, 2.896, 2.821, 2.764, 2.718, 2.681, 2.650, 2.624, 2.602, 2.583,
    2.567, 2.552, 2.539, 2.528, 2.518, 2.508, 2.500, 2.492, 2.485, 2.479, 2.473, 2.467, 2.462, 2.457,
];

/// What the next run will not exceed; `used` is not empty.
pub(super) fn bound(used: &[f64]) -> f64 {
    let most = used.iter().copied().fold(FLOOR_BYTES, f64::max);
    let count = used.len() as f64;
    let Some(t) = used.len().checked_sub(2).map(|index| T_99[index.min(T_99.len() - 1)]) else { return most * OF_ONE };
    let logs: Vec<f64> = used.iter().map(|used| used.max(FLOOR_BYTES).ln()).collect();
    let mean = logs.iter().sum::<f64>() / count;
    let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let bound = (mean + t * variance.sqrt() * (1.0 + 1.0 / count).sqrt()).exp();
    (bound * LEAST).clamp(most * LEAST, most * MOST)
}

/// The median: what a run needs that is like the others.
pub(super) fn typical(used: &[f64]) -> f64 {
    let mut sorted = used.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.get(sorted.len() / 2), sorted.len().checked_sub(1).and_then(|last| sorted.get(last / 2))) {
        (Some(upper), Some(lower)) => f64::midpoint(*upper, *lower),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

    #[test]
    fn more_runs_of_the_same_spread_bound_closer() {
        let runs = |count: usize| (0..count).map(|run| GIB * if run % 2 == 0 { 0.9 } else { 1.1 }).collect::<Vec<_>>();
        let bounds = [2, 4, 14, 30].map(|count| bound(&runs(count)) / GIB);
        assert!(bounds.is_sorted_by(|few, many| few > many), "{bounds:?}");
        assert!(bounds[3] > 1.1 && bounds[3] < 1.5, "{bounds:?}");
    }

    #[test]
    fn one_run_bounds_the_next_by_twice_as_much() {
        assert_eq!(bound(&[GIB]), 2.0 * GIB);
    }

    #[test]
    fn an_idle_disk_bounds_by_little_whatever_its_spread() {
        assert!(bound(&[4096.0, 1_000_000.0, 20_000.0]) < 64.0 * 1024.0 * 1024.0);
    }

    #[test]
    fn the_typical_run_is_the_one_in_the_middle() {
        assert_eq!([typical(&[3.0, 1.0, 2.0]), typical(&[4.0, 1.0, 2.0, 3.0]), typical(&[])], [2.0, 2.5, 0.0]);
    }

    proptest! {
        #[test]
        fn a_bound_is_above_everything_seen_and_never_beyond_all_measure(used in prop::collection::vec(0.0..1e13_f64, 1..60)) {
            let most = used.iter().copied().fold(FLOOR_BYTES, f64::max);
            let bound = bound(&used);
            prop_assert!(bound >= most * LEAST && bound <= most * MOST, "{bound}");
        }
    }
}
