//! The run log, and what a run holds: what another process finds and acts on when a run dies by any means.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alive;
mod claim;
mod drop_net;
mod held;
mod log;
mod read;
mod round_trip;
mod story;

use std::path::{Path, PathBuf};

use lvm::RunId;
use stillpoint::clock::Clock;
use stillpoint::run::Run;
use stillpoint::run::entry::{Begun, Entry, FORMAT, Mark};
use stillpoint::run::event::Listeners;
use stillpoint::run::held::Held;
use stillpoint::step::Step;

/// A run that has begun, and its log.
fn begin(state_dir: &Path) -> (Run, PathBuf) {
    let run = Run::begin(state_dir, "db1", Clock::system(), Listeners::default()).unwrap();
    let log = state_dir.join(format!("runs/{}.jsonl", run.id()));
    (run, log)
}

fn id() -> RunId {
    "r1".parse().unwrap()
}

fn entry(mark: Mark) -> Entry {
    Entry { at: "2026-11-21T19:59:23.250Z".to_owned(), elapsed_ms: 7, mark }
}

fn begun() -> Entry {
    let (vm, boot_id, version) = ("db1".to_owned(), "b".to_owned(), "0.1.0".to_owned());
    entry(Mark::Begun(Begun { format: FORMAT, run: id(), vm, pid: 1, boot_id, version }))
}

fn intent(step: Step) -> Entry {
    entry(Mark::Intent { step, takes: vec![frozen()] })
}

fn done(step: Step) -> Entry {
    entry(Mark::Done { step, frees: Vec::new(), detail: None })
}

fn cow() -> Held {
    Held::Cow { volume: "vg/stillpoint-r1-0".parse().unwrap(), origin: "vg/data".parse().unwrap() }
}

fn frozen() -> Held {
    Held::Frozen { agent: "unix:/run/qga".to_owned() }
}

/// The marks and steps of a log as it is on the disk now.
fn lines(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap();
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {}", line["mark"].as_str().unwrap(), line["step"].as_str().unwrap_or_default()).trim().to_owned()
    };
    text.lines().map(line).collect()
}
