//! Looks, while a disk is copied, whether its snapshot and those that wait will last, and makes the copy faster where one will not.

use std::time::{Duration, Instant};

use image::copy::{Pace, Progress};
use lvm::LvName;

use crate::cow::attached::Attached;
use crate::run::Run;
use crate::show::amount::took;

/// A copy slows down, and a COW fills in bursts: a quarter more time than it seems to need is none too much.
const MARGIN: f64 = 1.25;
/// Before that a copy's speed says nothing, nor does a new pace.
const SETTLED: Duration = Duration::from_secs(3);

/// A snapshot that is needed.
pub(super) struct Needed<'s> {
    /// It.
    pub(super) snapshot: &'s Attached,
    /// How long its copy takes, once it is its turn.
    pub(super) copy: Duration,
}

/// One disk's copy, and what is needed after it.
pub(super) struct Hurry<'s> {
    run: &'s Run,
    progress: &'s Progress,
    now: &'s Attached,
    later: Vec<Needed<'s>>,
    /// When it went on at this pace, and how much was copied by then.
    since: (Instant, u64),
    is_said: bool,
}

impl<'s> Hurry<'s> {
    pub(super) fn new(run: &'s Run, progress: &'s Progress, now: &'s Attached, later: Vec<Needed<'s>>) -> Self {
        Self { run, progress, now, later, since: (Instant::now(), 0), is_said: false }
    }

    /// One look.
    pub(super) fn look(&mut self) {
        let (at, copied) = self.since;
        if at.elapsed() < SETTLED || self.progress.source_is_read() {
            return;
        }
        let new = self.progress.copied_bytes().saturating_sub(copied);
        let Some(left) = left(self.progress.total_bytes(), self.progress.copied_bytes(), new, at.elapsed()) else {
            return;
        };
        let later =
            self.later.iter().map(|needed| (needed.snapshot.volume.origin(), needed.snapshot.full_in(), needed.copy));
        if let Some(short) = first_short((self.now.volume.origin(), self.now.full_in(), left), later) {
            self.shift(&short);
        }
    }

    fn shift(&mut self, Short { origin, full_in, needed }: &Short<'_>) {
        let (full_in, needed) = (took(*full_in), took(*needed));
        let why = format!("the COW of {origin} will be full in {full_in}, and it is needed for {needed}");
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
            None if !self.is_said => {
                self.is_said = true;
                self.run.note(format!("{why}: the copy cannot be made faster, and the snapshot may be lost"));
            }
            None => {}
        }
    }
}

/// A snapshot that will not last.
#[derive(Debug, PartialEq, Eq)]
struct Short<'o> {
    origin: &'o LvName,
    full_in: Duration,
    needed: Duration,
}

/// How long a copy still takes, of which `new` bytes were copied in `time`; `None` where it does not get on at all.
fn left(total: u64, copied: u64, new: u64, time: Duration) -> Option<Duration> {
    let per_second = new as f64 / time.as_secs_f64();
    let seconds = total.saturating_sub(copied) as f64 / per_second;
    seconds.is_finite().then(|| Duration::from_secs_f64(seconds.min(1e9)))
}

/// The first snapshot, of the one at work and those after it, that will not last until its copy is done: each is an origin, in
/// what time its COW is full, and how long its copy takes.
fn first_short<'o>(
    now: (&'o LvName, Option<Duration>, Duration),
    later: impl IntoIterator<Item = (&'o LvName, Option<Duration>, Duration)>,
) -> Option<Short<'o>> {
    let mut needed = Duration::ZERO;
    std::iter::once(now).chain(later).find_map(|(origin, full_in, copy)| {
        needed = needed.saturating_add(copy);
        let full_in = full_in.filter(|full_in| *full_in < needed.mul_f64(MARGIN))?;
        Some(Short { origin, full_in, needed })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_copy_goes_on_as_it_did() {
        assert_eq!(left(1000, 400, 200, seconds(10)), Some(seconds(30)));
        assert_eq!(left(1000, 0, 0, seconds(10)), None);
        assert_eq!(left(1000, 1000, 200, seconds(10)), Some(Duration::ZERO));
    }

    #[test]
    fn a_snapshot_that_lasts_with_time_to_spare_is_left_alone() {
        let (one, other): (LvName, LvName) = ("vg/one".parse().unwrap(), "vg/other".parse().unwrap());
        let later = |full_in| [(&other, full_in, seconds(20))];
        assert_eq!(first_short((&one, None, seconds(10)), later(None)), None);
        assert_eq!(first_short((&one, Some(seconds(13)), seconds(10)), later(Some(seconds(38)))), None);
        let short = first_short((&one, Some(seconds(12)), seconds(10)), later(None));
        assert_eq!(short, Some(Short { origin: &one, full_in: seconds(12), needed: seconds(10) }));
    }

    #[test]
    fn one_that_waits_is_needed_until_its_own_copy_is_done() {
        let (one, other): (LvName, LvName) = ("vg/one".parse().unwrap(), "vg/other".parse().unwrap());
        let short = first_short((&one, None, seconds(10)), [(&other, Some(seconds(37)), seconds(20))]);
        assert_eq!(short, Some(Short { origin: &other, full_in: seconds(37), needed: seconds(30) }));
    }
}
