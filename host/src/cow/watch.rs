//! Watches the COW of every snapshot while a copy runs, so that a full one is called by its name.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use serde::Serialize;

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
#[derive(Clone, Debug, Default, Serialize)]
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
    #[serde(skip)]
    stride: usize,
    #[serde(skip)]
    looks: usize,
}

/// What the watch saw.
#[derive(Debug)]
pub struct Watched {
    /// Each snapshot's curve.
    pub curves: Vec<CowCurve>,
    /// The first snapshot that was lost.
    pub full: Option<CowFull>,
}

/// Runs `work` under the watch. The flag it is given rises when a snapshot is lost, or the run is asked to stop.
///
/// A last look follows the end of `work`: what was read from a snapshot counts only if it was whole after the last byte.
///
/// # Errors
/// Where that last look is not possible.
pub fn watch<T>(
    snapshots: &[&Attached],
    stop: &Stop,
    gauge: &CowGauge,
    work: impl FnOnce(&AtomicBool) -> T,
) -> Result<(T, Watched), LvmError> {
    let halt = AtomicBool::new(stop.check().is_err());
    let ended = AtomicBool::new(false);
    let mut watch = Watch::new(snapshots);
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
    Ok((outcome, Watched { curves: watch.curves, full: watch.full }))
}

/// Rises when it is dropped, also by a panic: the scope waits for the watch, and the watch for this.
struct RaisedAtTheEnd<'f>(&'f AtomicBool);

impl Drop for RaisedAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

struct Watch<'s> {
    snapshots: &'s [&'s Attached],
    curves: Vec<CowCurve>,
    full: Option<CowFull>,
}

impl<'s> Watch<'s> {
    fn new(snapshots: &'s [&'s Attached]) -> Self {
        let curve = |snapshot: &&Attached| CowCurve {
            origin: snapshot.volume.origin().to_string(),
            total_bytes: snapshot.cow.0,
            stride: 1,
            ..CowCurve::default()
        };
        Self { snapshots, curves: snapshots.iter().map(curve).collect(), full: None }
    }

    fn look(&mut self, gauge: &CowGauge) -> Result<(), LvmError> {
        let mut fullest: f64 = 0.0;
        for (snapshot, curve) in self.snapshots.iter().zip(&mut self.curves) {
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
    use super::*;

    #[test]
    fn a_panic_of_the_work_ends_the_watch_too() {
        let panicking = || watch(&[], &Stop::default(), &CowGauge::default(), |_| panic!("a bug"));
        assert!(std::panic::catch_unwind(panicking).is_err());
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
