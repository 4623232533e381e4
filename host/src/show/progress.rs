//! A copy as its user sees it: a line for the copy and one for the COW, as bars on a terminal, else in the log.

use std::{
    io::{self, IsTerminal},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::speed::{Meter, Reading};
use crate::cow::gauge::CowGauge;
use image::copy::Progress;

const REDRAW_INTERVAL: Duration = Duration::from_millis(200);
const LOG_INTERVAL: Duration = Duration::from_secs(5);
/// How long the end of a copy waits for its last state to be drawn.
const LAST_DRAWING: Duration = Duration::from_secs(1);

/// Reports on a copy until it is dropped.
#[derive(Debug)]
pub struct Report {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Report {
    /// Begins to report on the copy of `disk`, on standard error where that is a terminal, else by `tracing`.
    #[must_use = "the report ends when this is dropped"]
    pub fn start(disk: &str, progress: Arc<Progress>, cow: Arc<CowGauge>) -> Self {
        let (end, ended) = mpsc::channel();
        let disk = disk.to_owned();
        let thread = thread::spawn(move || {
            let started = Instant::now();
            let mut meter = Meter::default();
            let mut look =
                || (meter.look(started.elapsed(), progress.copied_bytes(), progress.total_bytes()), cow.percent());
            // `--quiet` is a level of the log.
            if io::stderr().is_terminal() && tracing::enabled!(tracing::Level::INFO) {
                let bars = Bars::new();
                while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(REDRAW_INTERVAL) {
                    bars.show(&disk, look());
                }
                bars.show(&disk, look());
                bars.leave();
            } else {
                while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOG_INTERVAL) {
                    log(&disk, look());
                }
                log(&disk, look());
            }
        });
        Self { end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        drop(self.end.take());
        let Some(thread) = self.thread.take() else { return };
        // A stopped terminal holds the thread for as long as it likes. The snapshot is not to stay for that.
        let patience = Instant::now() + LAST_DRAWING;
        while !thread.is_finished() && Instant::now() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() && thread.join().is_err() {
            tracing::warn!("the progress report ended in a panic");
        }
    }
}

fn log(disk: &str, (copy, cow_percent): (Reading, Option<f64>)) {
    tracing::info!("{}", copy_line(disk, &copy));
    tracing::info!("{}", cow_line(disk, cow_percent));
}

struct Bars {
    copy: ProgressBar,
    cow: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        let style = ProgressStyle::with_template("[{bar:24}] {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bars = MultiProgress::new();
        let bar = || bars.add(ProgressBar::new(10_000).with_style(style.clone()));
        Self { copy: bar(), cow: bar() }
    }

    fn show(&self, disk: &str, (copy, cow_percent): (Reading, Option<f64>)) {
        self.copy.set_position((copy.percent() * 100.0) as u64);
        self.copy.set_message(copy_line(disk, &copy));
        self.cow.set_position((cow_percent.unwrap_or(0.0) * 100.0) as u64);
        self.cow.set_message(cow_line(disk, cow_percent));
    }

    /// Leaves the last state on the screen.
    fn leave(&self) {
        self.copy.abandon();
        self.cow.abandon();
    }
}

/// `vg/vm copy  42.0%  3.4 of 8.1 GB  512 MB/s  ETA 0:09`
fn copy_line(disk: &str, copy: &Reading) -> String {
    let gb = |bytes| bytes as f64 / 1e9;
    format!(
        "{disk} copy {:5.1}%  {:.1} of {:.1} GB  {:.0} MB/s  ETA {}",
        floor(copy.percent()),
        gb(copy.copied_bytes),
        gb(copy.total_bytes),
        copy.bytes_per_s / 1e6,
        copy.eta.map_or_else(|| "?".to_owned(), clock),
    )
}

/// `vg/vm COW   12.3%`
fn cow_line(disk: &str, percent: Option<f64>) -> String {
    match percent {
        Some(percent) => format!("{disk} COW  {:5.1}%", floor(percent)),
        None => format!("{disk} COW      ?"),
    }
}

/// To a tenth, downwards: 100.0 is said only of what is full, or done.
fn floor(percent: f64) -> f64 {
    (percent * 10.0).floor() / 10.0
}

/// `0:09`, `12:34`, `1:02:03`; a started second counts.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(copied_bytes: u64) -> Reading {
        let eta = Some(Duration::from_millis(8_200));
        Reading { copied_bytes, total_bytes: 8_100_000_000, bytes_per_s: 512.4e6, eta }
    }

    #[test]
    fn a_copy_line_says_percent_amount_speed_and_time_left() {
        assert_eq!(copy_line("vg/vm", &reading(3_402_000_000)), "vg/vm copy  42.0%  3.4 of 8.1 GB  512 MB/s  ETA 0:09");
    }

    #[test]
    fn a_copy_is_at_100_percent_only_when_done() {
        assert!(copy_line("vg/vm", &reading(8_099_999_999)).contains(" 99.9%"));
        assert!(copy_line("vg/vm", &reading(8_100_000_000)).contains("100.0%"));
    }

    #[test]
    fn a_copy_that_stands_still_has_no_eta() {
        let still = Reading { bytes_per_s: 0.0, eta: None, ..reading(0) };
        assert!(copy_line("vg/vm", &still).ends_with("0 MB/s  ETA ?"));
    }

    #[test]
    fn a_cow_line_says_how_full_it_is_or_that_nobody_knows() {
        let gauge = CowGauge::default();
        assert_eq!(cow_line("vg/vm", gauge.percent()), "vg/vm COW      ?");
        gauge.set_percent(12.345);
        assert_eq!(cow_line("vg/vm", gauge.percent()), "vg/vm COW   12.3%");
        gauge.set_percent(100.0);
        assert_eq!(cow_line("vg/vm", gauge.percent()), "vg/vm COW  100.0%");
    }

    #[test]
    fn times_are_read_like_a_clock() {
        let clocks = [0, 9, 60, 754, 3723].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(clocks, ["0:00", "0:09", "1:00", "12:34", "1:02:03"]);
    }

    #[test]
    fn a_report_ends_when_it_is_dropped() {
        drop(Report::start("vg/vm", Arc::default(), Arc::default()));
    }
}
