//! Plays what `stillpoint backup --progress json` said once more, through the listener and the voice that a backup has, so
//! that it can be looked at on any terminal:
//!
//! ```text
//! cargo run --example replay_events -- --times 20 --progress bar fixtures/events.jsonl
//! ```
#![allow(clippy::unwrap_used, reason = "a program for whoever works on this")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::Value;
use stillpoint::cli::listen::Told;
use stillpoint::cli::voice::{self, Manner, Progress, Surroundings};
use stillpoint::run::event::Event;
use tracing::Level;

#[derive(Parser)]
struct Args {
    /// What it said.
    events: PathBuf,
    /// As of `stillpoint backup`.
    #[arg(long, value_enum, default_value_t)]
    progress: Progress,
    /// With details.
    #[arg(short, long)]
    verbose: bool,
    /// So many times as fast.
    #[arg(long, default_value_t = 1.0)]
    times: f64,
}

fn main() {
    let args = Args::parse();
    let level = if args.verbose { Level::DEBUG } else { Level::INFO };
    let voice = voice::start(Manner::of(args.progress, Surroundings::here()), level);
    let told = Told::by(voice.clone());
    let started = Instant::now();
    let mut first = None;
    for line in std::fs::read_to_string(args.events).unwrap().lines() {
        let document: Value = serde_json::from_str(line).unwrap();
        let at = humantime::parse_rfc3339(document["at"].as_str().unwrap()).unwrap();
        let since: Duration = at.duration_since(*first.get_or_insert(at)).unwrap_or_default();
        let due = started + since.div_f64(args.times);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        told.hear_at(started + since, &serde_json::from_value::<Event>(document).unwrap());
    }
    voice.settle();
}
