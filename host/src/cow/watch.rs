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

/// Between two looks at the snapshots: one ioctl each.
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
}

/// Runs `work`, on the snapshot `now`, under the watch of it and of those that are needed `later`. The flag it is given rises
/// when one is lost, or the run is asked to stop.
///
/// A last look follows the end of `work`: what was read from a snapshot counts only if it was whole after the last byte.
///
/// # Errors
/// Where that last look is not possible.
pub fn watch<T>(
    now: &Attached,
    later: &[&Attached],
    stop: &Stop,
    gauge: &CowGauge,
    work: impl FnOnce(&AtomicBool) -> T,
) -> Result<(T, Watched), LvmError> {
    let halt = AtomicBool::new(stop.check().is_err());
    let ended = AtomicBool::new(false);
    let mut watch = Watch::new(now, later);
    let (outcome, mut watch) = thread::scope(|scope| {
        let watching = scope.spawn(|| {
            while !ended.load(Relaxed) {
                if let Err(error) = watch.look(gauge) {
                    tracing::warn!(%error, "cannot see how full the COW is");
                }
                if watch.full.is_some() {
                    halt.store(true, Relaxed);
                }
                sleep_until(INTERVAL, || {
                    if stop.check().is_err() {
                        halt.store(true, Relaxed);
                    }
                    ended.load(Relaxed)
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
    watch.look(gauge)?;
    Ok((outcome, Watched { curve: watch.now.curve, full: watch.full }))
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
    full: Option<CowFull>,
}

struct Watching<'s> {
    snapshot: &'s Attached,
    curve: CowCurve,
}

impl<'s> Watch<'s> {
    fn new(now: &'s Attached, later: &[&'s Attached]) -> Self {
        let watching = |snapshot: &'s Attached| Watching { snapshot, curve: CowCurve::of(snapshot) };
        Self { now: watching(now), later: later.iter().map(|snapshot| watching(snapshot)).collect(), full: None }
    }

    fn look(&mut self, gauge: &CowGauge) -> Result<(), LvmError> {
        let mut fullest: f64 = 0.0;
        for Watching { snapshot, curve } in std::iter::once(&mut self.now).chain(&mut self.later) {
            let elapsed = snapshot.since.elapsed();
            let state = snapshot.volume.state()?;
            fullest = fullest.max(state.used_ratio().unwrap_or(1.0));
            match state {
                SnapshotState::Active { used, total, .. } => {
                    curve.total_bytes = total.bytes().0;
                    curve.add(millis(elapsed), used.bytes().0);
                }
                SnapshotState::Invalid | SnapshotState::Overflow if self.full.is_some() => {}
                SnapshotState::Invalid | SnapshotState::Overflow => self.full = Some(curve.overrun(elapsed)),
                SnapshotState::Merging | SnapshotState::Missing | SnapshotState::NotASnapshot => {
                    return Err(LvmError::SnapshotGone { name: snapshot.volume.name().clone(), state });
                }
            }
        }
        gauge.set_percent(fullest * 100.0);
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
    fn snapshot(dev: &std::path::Path) -> Attached {
        let simulated = SimulatedLvm::new(dev, drop);
        simulated.add_vg("vg", Bytes(100 << 20));
        let origin = "vg/db".parse().unwrap();
        simulated.add_lv(&origin, &[1; 4096]);
        let lvm = Lvm::with_device_dir(Arc::new(simulated), dev);
        let volume = "r1".parse::<RunId>().unwrap().volume("vg", 0).unwrap();
        let cow = lvm.create_cow(&lvm.origin(&origin).unwrap(), volume, Bytes(8 << 20)).unwrap();
        Attached { volume: cow.attach(Duration::from_secs(5)).unwrap(), cow: cow.size(), since: Instant::now() }
    }

    #[test]
    fn a_panic_of_the_work_ends_the_watch_too() {
        let dev = tempfile::tempdir().unwrap();
        let snapshot = snapshot(dev.path());
        let panicking = || watch(&snapshot, &[], &Stop::default(), &CowGauge::default(), |_| panic!("a bug"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).is_err());
    }

    #[test]
    fn the_curve_is_that_of_the_snapshot_at_work() {
        let dev = tempfile::tempdir().unwrap();
        let snapshot = snapshot(dev.path());
        let ((), watched) = watch(&snapshot, &[], &Stop::default(), &CowGauge::default(), |_| {}).unwrap();
        assert_eq!((&*watched.curve.origin, watched.curve.total_bytes), ("vg/db", 8 << 20));
        assert!(watched.full.is_none() && !watched.curve.points.is_empty(), "{watched:?}");
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
