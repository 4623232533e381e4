//! Playing it.

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use stillpoint::cli::listen::Told;
use stillpoint::cli::voice::{Manner, Progress, Surroundings, Voice};
use stillpoint::clock::Clock;
use stillpoint::run::event::{Event, Listener};
use tracing::Level;

/// A terminal as most are.
pub const TERMINAL: Surroundings =
    Surroundings { is_terminal: true, takes_control: true, no_color: false, is_journal: false };
/// Cron's, or a pipe.
pub const PIPE: Surroundings =
    Surroundings { is_terminal: false, takes_control: false, no_color: false, is_journal: false };

/// What `--progress json` said of a backup: the documents, each with its time.
pub fn documents() -> Vec<Value> {
    let text = include_str!("../../../fixtures/events.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A place to write to, and to look at.
#[derive(Clone)]
pub struct Sink(Arc<Mutex<(vt100::Parser, String)>>);

impl Sink {
    fn new(columns: u16) -> Self {
        let [rows, columns] = [40, columns].map(|size| NonZero::new(size).unwrap());
        Self(Arc::new(Mutex::new((vt100::Parser::new(rows, columns, 0), String::new()))))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (terminal, text) = &mut *self.0.lock().unwrap();
        let said = str::from_utf8(bytes).unwrap();
        // As a terminal's driver does.
        terminal.process(said.replace('\n', "\r\n").as_bytes());
        text.push_str(said);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn voice(progress: Progress, here: Surroundings, level: Level, columns: u16) -> (Sink, Voice) {
    let sink = Sink::new(columns);
    let width = move || Some(usize::from(columns));
    let clock = Clock::fixed(SystemTime::UNIX_EPOCH);
    let voice = Voice::to(Box::new(sink.clone()), Box::new(width), Manner::of(progress, here), level, clock);
    (sink, voice)
}

/// What is said of `events`.
pub fn said(here: Surroundings, events: &[Event]) -> String {
    let (sink, voice) = voice(Progress::Auto, here, Level::INFO, 80);
    let told = Told::by(voice.clone());
    events.iter().for_each(|event| told.hear(event));
    voice.settle();
    sink.0.lock().unwrap().1.clone()
}

/// A backup that is being played.
pub struct Played {
    sink: Sink,
    voice: Voice,
}

impl Played {
    /// As `progress` has it, at `level`, where `here` is `columns` wide; as far as `until_s` seconds after it began.
    pub fn new(progress: Progress, here: Surroundings, level: Level, columns: u16, until_s: u64) -> Self {
        let (sink, voice) = voice(progress, here, level, columns);
        let (told, started) = (Told::by(voice.clone()), Instant::now());
        let documents = documents();
        let time = |document: &Value| humantime::parse_rfc3339(document["at"].as_str().unwrap()).unwrap();
        let first = time(&documents[0]);
        for document in documents {
            let since = time(&document).duration_since(first).unwrap();
            if since <= Duration::from_secs(until_s) {
                told.hear_at(started + since, &serde_json::from_value::<Event>(document).unwrap());
            }
        }
        voice.wait();
        Self { sink, voice }
    }

    /// To its end.
    pub fn whole(progress: Progress, here: Surroundings, level: Level, columns: u16) -> Self {
        let played = Self::new(progress, here, level, columns, u64::MAX);
        played.voice.settle();
        played
    }

    /// What stands on the terminal, with colours as escape sequences.
    pub fn screen(&self) -> String {
        let (terminal, _) = &*self.sink.0.lock().unwrap();
        let rows = terminal.screen().rows_formatted(0, terminal.screen().size().1.get());
        let rows: Vec<String> = rows.map(|row| row.replace('\x1b', "\\e")).collect();
        rows.join("\n").trim_end().to_owned()
    }

    /// All that was written, in order.
    pub fn text(&self) -> String {
        self.sink.0.lock().unwrap().1.clone()
    }
}
