//! Watches the COW of every snapshot while a copy runs, so that a full one is called by its name.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::cow::attached::Attached;
use crate::cow::full::CowFull;
use crate::cow::gauge::CowGauge;
use crate::stop::Stop;
use lvm::{LvmError, SnapshotState};

/// Between two looks at the snapshots: a small program for each, and one ioctl.
const INTERVAL: Duration = Duration::from_secs(1);
/// How fast the watch notices that the copy has ended.
const TICK: Duration = Duration::from_millis(50);

/// What the watch saw.
#[derive(Debug)]
pub struct Watched {
    /// The first snapshot that was lost, of all that are needed.
    pub full: Option<CowFull>,
    /// Why the last look at the snapshot at work was none: that it was whole is not known then.
    pub unseen: Option<LvmError>,
}

/// Runs `work`, on the snapshot `now`, under the watch of it and of those that are needed `later`. The flag it is given rises
/// when one is lost, the run is asked to stop, or `looked` says so, which is called after each look while it works.
///
/// The last look at `now` follows the last byte that was read of it, as `is_read` says, or else the end of `work`: what was read from a
/// snapshot counts only if it was whole after that byte, and whatever becomes of it later.
pub fn watch<T>(
    now: &Attached,
    later: &[&Attached],
    stop: &Stop,
    gauge: &CowGauge,
    is_read: impl Fn() -> bool + Sync,
    mut looked: impl FnMut() -> bool + Send,
    work: impl FnOnce(&AtomicBool) -> T,
) -> (T, Watched) {
    let halt = AtomicBool::new(stop.check().is_err());
    let ended = AtomicBool::new(false);
    let mut watch = Watch { now, later, is_needed: true, full: None, unseen: None };
    let (outcome, mut watch) = thread::scope(|scope| {
        let watching = scope.spawn(|| {
            while !ended.load(Relaxed) {
                let was_read = is_read();
                watch.look(gauge, was_read);
                if looked() || watch.full.is_some() {
                    halt.store(true, Relaxed);
                }
                sleep_until(INTERVAL, || {
                    if stop.check().is_err() {
                        halt.store(true, Relaxed);
                    }
                    ended.load(Relaxed) || !was_read && is_read()
                });
            }
            watch
        });
        let outcome = {
            let _ended = RaisedAtTheEnd(&ended);
            work(&halt)
        };
        match watching.join() {
            Ok(watch) => (outcome, watch),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    if watch.is_needed {
        watch.look(gauge, true);
    }
    (outcome, Watched { full: watch.full, unseen: watch.unseen })
}

/// Rises when it is dropped, also by a panic: the scope waits for the watch, and the watch for this.
struct RaisedAtTheEnd<'f>(&'f AtomicBool);

impl Drop for RaisedAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

struct Watch<'s> {
    now: &'s Attached,
    later: &'s [&'s Attached],
    /// The last look at the snapshot at work is still to come.
    is_needed: bool,
    full: Option<CowFull>,
    unseen: Option<LvmError>,
}

impl Watch<'_> {
    /// Looks at all that are needed. One that cannot be looked at keeps nobody from looking at the others.
    fn look(&mut self, gauge: &CowGauge, is_last: bool) {
        if !self.is_needed && self.later.is_empty() {
            return;
        }
        let mut fullest: f64 = 0.0;
        if self.is_needed {
            let seen = self.look_at(self.now, &mut fullest);
            // Of a look that fails, the next one is the last.
            self.is_needed = !is_last || seen.is_err();
            self.unseen = seen.err();
        }
        for later in self.later {
            if let Err(error) = self.look_at(later, &mut fullest) {
                tracing::warn!(%error, "cannot see how full a COW is");
            }
        }
        gauge.set_percent(fullest * 100.0);
    }

    fn look_at(&mut self, snapshot: &Attached, fullest: &mut f64) -> Result<(), LvmError> {
        let state = snapshot.look()?;
        *fullest = fullest.max(state.used_ratio().unwrap_or(1.0));
        if matches!(state, SnapshotState::Invalid | SnapshotState::Overflow) {
            self.full.get_or_insert_with(|| snapshot.overrun());
        }
        Ok(())
    }
}

fn sleep_until(duration: Duration, mut over: impl FnMut() -> bool) {
    for _ in 0..duration.as_millis() / TICK.as_millis() {
        if over() {
            return;
        }
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use lvm::simulated::SimulatedLvm;
    use lvm::{Bytes, Lvm, RunId};

    use super::*;

    /// A snapshot on a simulated LVM, in its folder.
    fn snapshot(dev: &std::path::Path) -> (Arc<SimulatedLvm>, Attached) {
        let simulated = Arc::new(SimulatedLvm::new(dev, drop));
        simulated.add_vg("vg", Bytes(100 << 20));
        let origin = "vg/db".parse().unwrap();
        simulated.add_lv(&origin, &[1; 4096]);
        let lvm = Lvm::with_device_dir(simulated.clone(), dev);
        let volume = "r1".parse::<RunId>().unwrap().volume("vg", 0).unwrap();
        let cow = lvm.create_cow(&lvm.origin(&origin).unwrap(), volume, Bytes(8 << 20)).unwrap();
        let volume = cow.attach(Duration::from_secs(5)).unwrap();
        (simulated, Attached::new(volume, cow.size(), Instant::now()))
    }

    fn nobody() -> bool {
        false
    }

    /// As a copy of which the last byte is read only at its end.
    fn not_read() -> bool {
        false
    }

    #[test]
    fn a_panic_of_the_work_ends_the_watch_too() {
        let (_, snapshot) = snapshot(tempfile::tempdir().unwrap().path());
        let panicking =
            || watch(&snapshot, &[], &Stop::default(), &CowGauge::default(), not_read, nobody, |_| panic!("a bug"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).is_err());
    }

    #[test]
    fn the_curves_of_all_that_are_needed_are_kept() {
        let [dev, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let ((_, now), (_, later)) = (snapshot(dev.path()), snapshot(other.path()));
        let ((), watched) = watch(&now, &[&later], &Stop::default(), &CowGauge::default(), not_read, nobody, |_| {});
        assert!(watched.full.is_none() && watched.unseen.is_none(), "{watched:?}");
        for curve in [now.curve(), later.curve()] {
            assert_eq!((&*curve.origin, curve.total_bytes), ("vg/db", 8 << 20));
            assert!(!curve.points.is_empty(), "{curve:?}");
        }
    }

    #[test]
    fn what_becomes_of_a_snapshot_after_its_last_byte_was_read_does_not_matter() {
        let dev = tempfile::tempdir().unwrap();
        let (lvm, snapshot) = snapshot(dev.path());
        let is_read = AtomicBool::new(false);
        let work = |halt: &AtomicBool| {
            let looks = lvm.calls();
            is_read.store(true, Relaxed);
            // Nobody looks any more after the last look.
            while lvm.calls() == looks || looked_within(&lvm, TICK * 10) {}
            lvm.fill_cow(snapshot.volume.name(), Bytes(9 << 20));
            thread::sleep(INTERVAL * 2);
            halt.load(Relaxed)
        };
        let (halted, watched) =
            watch(&snapshot, &[], &Stop::default(), &CowGauge::default(), || is_read.load(Relaxed), nobody, work);
        assert!(!halted && watched.full.is_none() && watched.unseen.is_none(), "{watched:?}");
    }

    fn looked_within(lvm: &SimulatedLvm, time: Duration) -> bool {
        let before = lvm.calls();
        thread::sleep(time);
        lvm.calls() > before
    }

    #[test]
    fn a_last_look_that_fails_is_tried_again_no_sooner_than_any_other() {
        let dev = tempfile::tempdir().unwrap();
        let (lvm, snapshot) = snapshot(dev.path());
        Lvm::with_device_dir(lvm.clone(), dev.path()).remove(snapshot.volume.name()).unwrap();
        let before = lvm.calls();
        let ((), watched) = watch(
            &snapshot,
            &[],
            &Stop::default(),
            &CowGauge::default(),
            || true,
            nobody,
            |_| {
                thread::sleep(INTERVAL / 2);
            },
        );
        assert!(watched.unseen.is_some(), "{watched:?}");
        // One at the beginning, and one at the end.
        assert_eq!(lvm.calls() - before, 2);
    }

    #[test]
    fn a_snapshot_that_is_lost_before_its_last_byte_was_read_halts_the_work() {
        let dev = tempfile::tempdir().unwrap();
        let (lvm, snapshot) = snapshot(dev.path());
        let work = |halt: &AtomicBool| {
            lvm.fill_cow(snapshot.volume.name(), Bytes(9 << 20));
            while !halt.load(Relaxed) {
                thread::yield_now();
            }
        };
        let ((), watched) = watch(&snapshot, &[], &Stop::default(), &CowGauge::default(), not_read, nobody, work);
        assert!(watched.full.is_some(), "{watched:?}");
    }

    #[test]
    fn a_snapshot_that_cannot_be_looked_at_keeps_nobody_from_looking_at_the_others() {
        let [dev, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let ((lvm, gone), (full, lost)) = (snapshot(dev.path()), snapshot(other.path()));
        Lvm::with_device_dir(lvm, dev.path()).remove(gone.volume.name()).unwrap();
        full.fill_cow(lost.volume.name(), Bytes(9 << 20));
        let ((), watched) = watch(&gone, &[&lost], &Stop::default(), &CowGauge::default(), not_read, nobody, |_| {});
        assert!(watched.full.is_some() && watched.unseen.is_some(), "{watched:?}");
    }

    #[test]
    fn that_the_last_look_was_not_possible_is_told_beside_what_came_of_the_work() {
        let dev = tempfile::tempdir().unwrap();
        let (lvm, snapshot) = snapshot(dev.path());
        let (said, watched) = watch(&snapshot, &[], &Stop::default(), &CowGauge::default(), not_read, nobody, |_| {
            Lvm::with_device_dir(lvm, dev.path()).remove(snapshot.volume.name()).unwrap();
            "the target is full"
        });
        assert_eq!(said, "the target is full");
        assert!(matches!(watched.unseen, Some(LvmError::SnapshotGone { .. })), "{watched:?}");
    }
}
