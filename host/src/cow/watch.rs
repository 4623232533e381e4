//! Watches the COW of every snapshot while a copy runs, so that a full one is called by its name.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::clock::millis;
use crate::cow::attached::Attached;
use crate::cow::full::CowFull;
use crate::cow::gauge::CowGauge;
use crate::stop::Stop;
use lvm::{Bytes, LvmError, SnapshotState};

/// Between two looks at the snapshots: a small program for each, and one ioctl.
const INTERVAL: Duration = Duration::from_secs(1);
/// How fast the watch notices that the copy has ended.
const TICK: Duration = Duration::from_millis(50);
/// A curve is thinned to half whenever it reaches this many points.
const MAX_POINTS: usize = 512;

/// How one COW filled.
#[derive(Clone, Debug, Default)]
pub struct CowCurve {
    /// The origin.
    pub origin: String,
    /// Size of the COW.
    pub total_bytes: u64,
    /// The most that was in use.
    pub peak_bytes: u64,
    /// Milliseconds since the snapshot, and bytes in use then.
    pub points: Vec<(u64, u64)>,
    /// Every how many looks a point is kept.
    stride: usize,
    looks: usize,
}

/// What the watch saw.
#[derive(Debug)]
pub struct Watched {
    /// How the COW of the snapshot at work filled.
    pub curve: CowCurve,
    /// The first snapshot that was lost, of all that are needed.
    pub full: Option<CowFull>,
    /// Why the last look at the snapshot at work was none: that it was whole is not known then.
    pub unseen: Option<LvmError>,
}

/// Runs `work`, on the snapshot `now`, under the watch of it and of those that are needed `later`. The flag it is given rises
/// when one is lost, or the run is asked to stop.
///
/// The last look at `now` follows the last byte that was read of it, as `is_read` says, or else the end of `work`: what was read from a
/// snapshot counts only if it was whole after that byte, and whatever becomes of it later.
pub fn watch<T>(
    now: &Attached,
    later: &[&Attached],
    stop: &Stop,
    gauge: &CowGauge,
    is_read: impl Fn() -> bool + Sync,
    work: impl FnOnce(&AtomicBool) -> T,
) -> (T, Watched) {
    let halt = AtomicBool::new(stop.check().is_err());
    let ended = AtomicBool::new(false);
    let mut watch = Watch::new(now, later);
    let (outcome, mut watch) = thread::scope(|scope| {
        let watching = scope.spawn(|| {
            while !ended.load(Relaxed) {
                let was_read = is_read();
                watch.look(gauge, was_read);
                if watch.full.is_some() {
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
    (outcome, Watched { curve: watch.now.curve, full: watch.full, unseen: watch.unseen })
}

/// Rises when it is dropped, also by a panic: the scope waits for the watch, and the watch for this.
struct RaisedAtTheEnd<'f>(&'f AtomicBool);

impl Drop for RaisedAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

struct Watch<'s> {
    now: Watching<'s>,
    later: Vec<Watching<'s>>,
    /// The last look at the snapshot at work is still to come.
    is_needed: bool,
    full: Option<CowFull>,
    unseen: Option<LvmError>,
}

struct Watching<'s> {
    snapshot: &'s Attached,
    curve: CowCurve,
}

impl<'s> Watch<'s> {
    fn new(now: &'s Attached, later: &[&'s Attached]) -> Self {
        let watching = |snapshot: &'s Attached| Watching { snapshot, curve: CowCurve::of(snapshot) };
        let later = later.iter().map(|snapshot| watching(snapshot)).collect();
        Self { now: watching(now), later, is_needed: true, full: None, unseen: None }
    }

    /// Looks at all that are needed. One that cannot be looked at keeps nobody from looking at the others.
    fn look(&mut self, gauge: &CowGauge, is_last: bool) {
        if !self.is_needed && self.later.is_empty() {
            return;
        }
        let mut fullest: f64 = 0.0;
        if self.is_needed {
            let seen = self.now.look(&mut self.full, &mut fullest);
            // Of a look that fails, the next one is the last.
            self.is_needed = !is_last || seen.is_err();
            self.unseen = seen.err();
        }
        for later in &mut self.later {
            if let Err(error) = later.look(&mut self.full, &mut fullest) {
                tracing::warn!(%error, "cannot see how full a COW is");
            }
        }
        gauge.set_percent(fullest * 100.0);
    }
}

impl Watching<'_> {
    fn look(&mut self, full: &mut Option<CowFull>, fullest: &mut f64) -> Result<(), LvmError> {
        let Self { snapshot, curve } = self;
        let elapsed = snapshot.since.elapsed();
        let state = snapshot.volume.state()?;
        *fullest = fullest.max(state.used_ratio().unwrap_or(1.0));
        match state {
            SnapshotState::Active { used, total, .. } => {
                curve.total_bytes = total.bytes().0;
                curve.add(millis(elapsed), used.bytes().0);
            }
            SnapshotState::Invalid | SnapshotState::Overflow => {
                full.get_or_insert_with(|| curve.overrun(elapsed));
            }
            SnapshotState::Merging | SnapshotState::Missing | SnapshotState::NotASnapshot => {
                return Err(LvmError::SnapshotGone { name: snapshot.volume.name().clone(), state });
            }
        }
        Ok(())
    }
}

impl CowCurve {
    fn of(snapshot: &Attached) -> Self {
        let origin = snapshot.volume.origin().to_string();
        Self { origin, total_bytes: snapshot.cow.0, stride: 1, ..Self::default() }
    }

    fn add(&mut self, at_ms: u64, used_bytes: u64) {
        self.peak_bytes = self.peak_bytes.max(used_bytes);
        if self.looks.is_multiple_of(self.stride) {
            self.points.push((at_ms, used_bytes));
        }
        self.looks += 1;
        if self.points.len() >= MAX_POINTS {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
    }

    fn overrun(&mut self, elapsed: Duration) -> CowFull {
        let seen = std::mem::replace(&mut self.peak_bytes, self.total_bytes);
        CowFull::new(self.origin.clone(), Bytes(self.total_bytes), Some(Bytes(seen)), elapsed)
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
    use lvm::{Lvm, RunId};

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
        (simulated, Attached { volume, cow: cow.size(), since: Instant::now() })
    }

    /// As a copy of which the last byte is read only at its end.
    fn not_read() -> bool {
        false
    }

    #[test]
    fn a_panic_of_the_work_ends_the_watch_too() {
        let (_, snapshot) = snapshot(tempfile::tempdir().unwrap().path());
        let panicking = || watch(&snapshot, &[], &Stop::default(), &CowGauge::default(), not_read, |_| panic!("a bug"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).is_err());
    }

    #[test]
    fn the_curve_is_that_of_the_snapshot_at_work() {
        let dev = tempfile::tempdir().unwrap();
        let (_, snapshot) = snapshot(dev.path());
        let ((), watched) = watch(&snapshot, &[], &Stop::default(), &CowGauge::default(), not_read, |_| {});
        assert_eq!((&*watched.curve.origin, watched.curve.total_bytes), ("vg/db", 8 << 20));
        assert!(watched.full.is_none() && watched.unseen.is_none(), "{watched:?}");
        assert!(!watched.curve.points.is_empty(), "{watched:?}");
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
            watch(&snapshot, &[], &Stop::default(), &CowGauge::default(), || is_read.load(Relaxed), work);
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
        let ((), watched) = watch(&snapshot, &[], &Stop::default(), &CowGauge::default(), not_read, work);
        assert!(watched.full.is_some(), "{watched:?}");
    }

    #[test]
    fn a_snapshot_that_cannot_be_looked_at_keeps_nobody_from_looking_at_the_others() {
        let [dev, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let ((lvm, gone), (full, lost)) = (snapshot(dev.path()), snapshot(other.path()));
        Lvm::with_device_dir(lvm, dev.path()).remove(gone.volume.name()).unwrap();
        full.fill_cow(lost.volume.name(), Bytes(9 << 20));
        let ((), watched) = watch(&gone, &[&lost], &Stop::default(), &CowGauge::default(), not_read, |_| {});
        assert!(watched.full.is_some() && watched.unseen.is_some(), "{watched:?}");
    }

    #[test]
    fn that_the_last_look_was_not_possible_is_told_beside_what_came_of_the_work() {
        let dev = tempfile::tempdir().unwrap();
        let (lvm, snapshot) = snapshot(dev.path());
        let (said, watched) = watch(&snapshot, &[], &Stop::default(), &CowGauge::default(), not_read, |_| {
            Lvm::with_device_dir(lvm, dev.path()).remove(snapshot.volume.name()).unwrap();
            "the target is full"
        });
        assert_eq!(said, "the target is full");
        assert!(matches!(watched.unseen, Some(LvmError::SnapshotGone { .. })), "{watched:?}");
    }

    #[test]
    fn a_curve_of_any_length_stays_bounded_and_keeps_its_peak() {
        let mut curve = CowCurve { stride: 1, ..CowCurve::default() };
        for second in 0..100_000 {
            curve.add(second * 1000, if second == 77_777 { 9999 } else { 1 });
        }
        assert!(curve.points.len() < MAX_POINTS);
        assert_eq!(curve.peak_bytes, 9999);
        assert!(curve.points.is_sorted());
    }
}
