//! Looks, while a disk is copied, whether its snapshot and those that wait will last. Where one will not, its COW gets more room; where there
//! is none, the copy gets faster; and where that is of no use, either, the image is given up, if a dump can take its place.

use std::time::{Duration, Instant};

use image::copy::{Pace, Progress};
use lvm::{LvName, Lvm, LvmError};

use super::cow_plan::CowPlan;
use super::grow::grow;
use crate::cow::attached::Attached;
use crate::failure::{Cause, Kind};
use crate::run::Run;
use crate::show::amount::took;

/// A copy slows down, and a COW fills in bursts: a quarter more time than it seems to need is none too much.
const MARGIN: f64 = 1.25;
/// Before that a copy's speed says nothing, nor does a new pace, or more room.
const SETTLED: Duration = Duration::from_secs(3);
/// A rate is that of seconds: what it says of hours is no reason to give an image up.
const NEARLY_FULL: Duration = Duration::from_secs(60);
/// Of a copy that does not get on.
const FOR_EVER: Duration = Duration::from_secs(1_000_000_000);

/// A snapshot that is needed.
#[derive(Clone, Copy)]
pub(super) struct Needed<'s> {
    /// It.
    pub(super) snapshot: &'s Attached,
    /// Its COW, as planned.
    pub(super) plan: &'s CowPlan,
}

/// One disk's copy, and what is needed after it.
pub(super) struct Hurry<'s> {
    run: &'s Run,
    lvm: &'s Lvm,
    progress: &'s Progress,
    now: Needed<'s>,
    later: Vec<Needed<'s>>,
    /// When it went on at this pace, and how much was copied by then.
    since: (Instant, u64),
    /// When a COW got more room, or could have none.
    grown: Option<Instant>,
    is_said: bool,
    /// A dump can take the image's place.
    can_give_up: bool,
    /// Why it was given up.
    given_up: Option<Cause>,
}

impl<'s> Hurry<'s> {
    pub(super) fn new(
        run: &'s Run,
        lvm: &'s Lvm,
        progress: &'s Progress,
        now: Needed<'s>,
        later: Vec<Needed<'s>>,
        can_give_up: bool,
    ) -> Self {
        let since = (Instant::now(), 0);
        Self { run, lvm, progress, now, later, since, grown: None, is_said: false, can_give_up, given_up: None }
    }

    /// One look; whether the image is given up.
    pub(super) fn look(&mut self) -> bool {
        if self.given_up.is_none() {
            self.judge();
        }
        self.given_up.is_some()
    }

    /// Why the image was given up, before its snapshot was lost. One that `is_whole` by now is none that was given up, but for a guest that
    /// stands still.
    pub(super) fn given_up(self, is_whole: bool) -> Option<Cause> {
        self.given_up.filter(|why| !is_whole || why.kind == Kind::OriginSuspended)
    }

    fn judge(&mut self) {
        let (at, copied) = self.since;
        let settled = self.grown.map_or(at, |grown| grown.max(at));
        if settled.elapsed() < SETTLED || self.progress.source_is_read() {
            return;
        }
        let (total, done) = (self.progress.total_bytes(), self.progress.copied_bytes());
        let left = left(total, done, done.saturating_sub(copied), at.elapsed());
        let turn = |needed: &Needed<'s>, copy| Turn { of: *needed, full_in: needed.snapshot.full_in(), copy };
        let later = self.later.iter().map(|needed| turn(needed, needed.plan.copy_time()));
        let Some((short, needed)) = first_short(std::iter::once(turn(&self.now, left)).chain(later)) else { return };
        let full_in = short.full_in.unwrap_or(FOR_EVER);
        // A copy that has not got on for seconds may yet do so.
        if needed >= FOR_EVER && full_in > NEARLY_FULL {
            return;
        }
        let origin = short.of.snapshot.volume.origin();
        let needed_for = if needed < FOR_EVER { format!("for {}", took(needed)) } else { "for longer".to_owned() };
        let why = format!("the COW of {origin} will be full in {}, and it is needed {needed_for}", took(full_in));
        // Of a copy that does not get on, nobody knows how much room it needs: it gets time to do so.
        let needed = if needed < FOR_EVER { needed } else { full_in.saturating_mul(2) };
        if !self.grow(short.of, needed, &why) {
            self.hurry(&why, full_in <= NEARLY_FULL);
        }
    }

    /// Whether there is nothing else to be done now.
    fn grow(&mut self, short: Needed<'_>, needed: Duration, why: &str) -> bool {
        let is_allowed = short.plan.may_grow_to.0 > short.snapshot.curve().total_bytes;
        if !is_allowed {
            return false;
        }
        let grown = grow(self.lvm, short.snapshot, short.plan, needed);
        self.grown = Some(Instant::now());
        match grown {
            Ok(Some(size)) => {
                self.run.note(format!("{why}: it has {size} now"));
                true
            }
            Ok(None) => false,
            // Whatever waits for that disk waits for this run: its snapshot has to go, which resumes it.
            Err(error @ LvmError::Suspended { .. }) => {
                self.given_up = Some(error.into());
                true
            }
            Err(error) => {
                let origin: &LvName = short.snapshot.volume.origin();
                tracing::warn!(%origin, %error, "its COW cannot be made larger");
                false
            }
        }
    }

    fn hurry(&mut self, why: &str, is_nearly_full: bool) {
        match self.progress.pace().faster() {
            Some(pace) => {
                self.progress.set_pace(pace);
                self.since = (Instant::now(), self.progress.copied_bytes());
                let how = match pace {
                    Pace::Planned | Pace::Fast => "compressed less",
                    Pace::Stored => "stored without compression",
                };
                self.run.note(format!("{why}: what is left is {how}, so that the copy is faster"));
            }
            None if self.can_give_up && is_nearly_full => {
                let why = format!("{why}, and the copy cannot be made faster");
                self.given_up = Some(Cause::plain(Kind::SnapshotWouldNotLast, why));
            }
            None if !self.can_give_up && !self.is_said => {
                self.is_said = true;
                self.run.note(format!("{why}: the copy cannot be made faster, and the snapshot may be lost"));
            }
            None => {}
        }
    }
}

/// A snapshot whose disk is copied in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn<T> {
    of: T,
    /// In what time its COW is full; `None` where it is not filling.
    full_in: Option<Duration>,
    /// How long its copy takes.
    copy: Duration,
}

/// How long a copy still takes, of which `new` bytes were copied in `time`: for ever, where it does not get on at all.
fn left(total: u64, copied: u64, new: u64, time: Duration) -> Duration {
    let left = total.saturating_sub(copied) as f64;
    let seconds = if left > 0.0 { left * time.as_secs_f64() / new as f64 } else { 0.0 };
    Duration::from_secs_f64(seconds.min(FOR_EVER.as_secs_f64()))
}

/// The first of these `turns` whose snapshot will not last until its disk is copied, and how long it is needed.
fn first_short<T>(turns: impl IntoIterator<Item = Turn<T>>) -> Option<(Turn<T>, Duration)> {
    let mut needed = Duration::ZERO;
    turns.into_iter().find_map(|turn| {
        needed = needed.saturating_add(turn.copy);
        let is_short = turn.full_in.is_some_and(|full_in| full_in < needed.mul_f64(MARGIN));
        is_short.then_some((turn, needed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn turn(of: &'static str, full_in: Option<u64>, copy: u64) -> Turn<&'static str> {
        Turn { of, full_in: full_in.map(seconds), copy: seconds(copy) }
    }

    #[test]
    fn a_copy_goes_on_as_it_did() {
        assert_eq!(left(1000, 400, 200, seconds(10)), seconds(30));
        assert_eq!(left(1000, 0, 0, seconds(10)), FOR_EVER);
        assert_eq!(left(1000, 1000, 0, seconds(10)), Duration::ZERO);
    }

    #[test]
    fn a_snapshot_that_lasts_with_time_to_spare_is_left_alone() {
        assert_eq!(first_short([turn("one", None, 10), turn("other", None, 20)]), None);
        assert_eq!(first_short([turn("one", Some(13), 10), turn("other", Some(38), 20)]), None);
        let one = turn("one", Some(12), 10);
        assert_eq!(first_short([one, turn("other", None, 20)]), Some((one, seconds(10))));
    }

    #[test]
    fn one_that_waits_is_needed_until_its_own_copy_is_done() {
        let other = turn("other", Some(37), 20);
        assert_eq!(first_short([turn("one", None, 10), other]), Some((other, seconds(30))));
    }
}
