//! Within what each number of a policy has to be.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Policy;
use crate::ask::setting::{Given, Setting};
use crate::failure::Cause;

/// A number of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Amount {
    /// Without a unit.
    Count(i64),
    /// A deadline.
    Time(Duration),
}

/// A number of the policy, and its range.
pub(super) struct Bound {
    /// Its key in the configuration.
    pub(super) key: &'static str,
    /// The number, and who chose it.
    pub(super) of: fn(&Policy) -> (Amount, &Given),
    /// What it may be.
    pub(super) range: RangeInclusive<Amount>,
}

/// Each thread has frames of its own in memory.
const MAX_THREADS: usize = 256;

/// All of them. In less than a second no other machine can be sure to answer, and a thaw has to be tried more than once.
/// The upper ends keep a slip of the pen from stopping a guest, or its database's writers, for hours.
pub(super) const BOUNDS: [Bound; 16] = [
    bound("level", |policy| amount(&policy.level), count(1, 19)),
    bound("threads", |policy| amount(&policy.threads), count(1, MAX_THREADS as i64)),
    bound("survey_agent_deadline_s", |policy| amount(&policy.survey_agent), seconds(1, 600)),
    bound("survey_database_deadline_s", |policy| amount(&policy.survey_database), seconds(1, 600)),
    bound("guest_sync_deadline_s", |policy| amount(&policy.guest_sync), seconds(1, 3600)),
    bound("marker_deadline_s", |policy| amount(&policy.marker), seconds(1, 600)),
    bound("lock_deadline_s", |policy| amount(&policy.lock), seconds(1, 600)),
    bound("dump_progress_deadline_s", |policy| amount(&policy.dump_progress), seconds(5, 3600)),
    bound("dump_deadline_s", |policy| amount(&policy.dump_deadline), seconds(60, 604_800)),
    bound("statement_deadline_s", |policy| amount(&policy.statement), seconds(1, 600)),
    bound("window_deadline_s", |policy| amount(&policy.window), seconds(1, 600)),
    bound("freeze_deadline_s", |policy| amount(&policy.freeze), seconds(1, 600)),
    bound("attach_deadline_s", |policy| amount(&policy.attach), seconds(1, 300)),
    bound("first_thaw_deadline_s", |policy| amount(&policy.first_thaw), seconds(1, 60)),
    bound("thaw_deadline_s", |policy| amount(&policy.thaw), seconds(10, 3600)),
    bound("node_deadline_s", |policy| amount(&policy.node), seconds(1, 600)),
];

/// Refuses a policy with a number that is out of its range.
pub(super) fn check(policy: &Policy) -> Result<(), Cause> {
    for Bound { key, of, range } in &BOUNDS {
        let (amount, from) = of(policy);
        if !range.contains(&amount) {
            let (place, least, most) = (from.place("policy", key), range.start(), range.end());
            return Err(Cause::usage(
                format!("{place} is {amount}: out of the range of {least} to {most}"),
                "choose a value within it, or leave it out for the default",
            ));
        }
    }
    Ok(())
}

const fn bound(key: &'static str, of: fn(&Policy) -> (Amount, &Given), range: RangeInclusive<Amount>) -> Bound {
    Bound { key, of, range }
}

const fn count(least: i64, most: i64) -> RangeInclusive<Amount> {
    RangeInclusive::new(Amount::Count(least), Amount::Count(most))
}

const fn seconds(least: u64, most: u64) -> RangeInclusive<Amount> {
    RangeInclusive::new(Amount::Time(Duration::from_secs(least)), Amount::Time(Duration::from_secs(most)))
}

fn amount<T: Copy + Into<Amount>>(setting: &Setting<T>) -> (Amount, &Given) {
    (setting.value.into(), &setting.from)
}

impl From<i32> for Amount {
    fn from(count: i32) -> Self {
        Self::Count(count.into())
    }
}

impl From<usize> for Amount {
    fn from(count: usize) -> Self {
        Self::Count(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl From<Duration> for Amount {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Time(time) => write!(f, "{} s", time.as_secs_f64()),
        }
    }
}
