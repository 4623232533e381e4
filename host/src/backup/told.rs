//! Tells how far a copy is, for as long as it runs.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use image::copy::Progress;

use crate::cow::gauge::CowGauge;
use crate::run::Run;
use crate::run::event::Event;
use crate::show::speed::Meter;

const INTERVAL: Duration = Duration::from_millis(200);

/// Runs `work`, the copy of `origin`, and tells meanwhile where `progress` and `cow` stand; once more when it has ended.
pub fn told<T>(run: &Run, origin: &str, progress: &Progress, cow: &CowGauge, work: impl FnOnce() -> T) -> T {
    let (end, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let started = Instant::now();
            let mut meter = Meter::default();
            let mut tell = |last| {
                let now = meter.look(started.elapsed(), progress.copied_bytes(), progress.total_bytes());
                run.tell(&Event::Copy {
                    origin: origin.to_owned(),
                    copied_bytes: now.copied_bytes,
                    total_bytes: now.total_bytes,
                    bytes_per_s: now.bytes_per_s,
                    left_s: now.eta.map(|eta| eta.as_secs_f64()),
                    last,
                });
                run.tell(&Event::Cow { origin: origin.to_owned(), percent: cow.percent() });
            };
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(INTERVAL) {
                tell(false);
            }
            tell(true);
        });
        // Dropped at the end of the work, also by a panic of it: the scope waits for the thread, and the thread for this.
        let _end = end;
        work()
    })
}
