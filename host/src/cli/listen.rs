//! What happens in a run, as it is said on stderr.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lvm::Bytes;
use serde::Serialize;
use serde_json::Value;
use tracing::Level;

use super::sentence::{Sentence, meanwhile};
use super::voice::{Copies, Field, Form, Status, Voice};
use crate::run::entry::{Entry, Mark};
use crate::run::event::{Event, Listener};
use crate::show::amount::speed;
use crate::show::copying::Copying;
use crate::show::speed::Reading;
use crate::step::Step;

/// Between two documents about a copy.
const DOCUMENT_INTERVAL: Duration = Duration::from_secs(1);

/// Says every step, and how far a copy is.
pub struct Told {
    voice: Voice,
    heard: Mutex<Heard>,
}

/// What was heard before, and is needed for what comes.
#[derive(Default)]
struct Heard {
    /// Run and VM, for every record.
    run: Vec<Field>,
    /// When the copies began.
    copies_began: Option<Instant>,
    /// When the present one did, and the last line about it.
    copy_began: Option<Instant>,
    copy_said: Option<Instant>,
    /// The last event of a copy was due; that of its COW comes right after it.
    copy_is_due: bool,
    cow_percent: Option<f64>,
    cow_peak: Option<f64>,
    last_error: String,
}

/// An event with its time; a step has one of its own.
#[derive(Serialize)]
struct Document<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(flatten)]
    event: &'e Event,
}

impl Told {
    /// By this voice.
    #[must_use]
    pub fn by(voice: Voice) -> Self {
        Self { voice, heard: Mutex::default() }
    }

    /// The same as [`Listener::hear`], with the time passed in.
    pub fn hear_at(&self, now: Instant, event: &Event) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if self.voice.manner().form == Form::Json {
            self.document(&mut heard, now, event);
            return;
        }
        match event {
            Event::Step(entry) => self.step(&mut heard, now, entry),
            Event::Note { text } => self.voice.say(&Sentence::new(Level::WARN, text), &heard.run),
            Event::Copy { origin, copied_bytes, total_bytes, bytes_per_s, left_s, last } => {
                let reading = Reading {
                    copied_bytes: *copied_bytes,
                    total_bytes: *total_bytes,
                    bytes_per_s: *bytes_per_s,
                    eta: left_s.and_then(|left| Duration::try_from_secs_f64(left).ok()),
                };
                let copying = Copying { origin: origin.clone(), reading, cow_percent: heard.cow_percent };
                self.copy(&mut heard, now, copying, *last);
            }
            Event::Dump { received_bytes, bytes_per_s } => self.dump(&mut heard, now, *received_bytes, *bytes_per_s),
            Event::Cow { percent, .. } => {
                heard.cow_percent = *percent;
                heard.cow_peak = percent.map(|now| heard.cow_peak.map_or(now, |peak| peak.max(now))).or(heard.cow_peak);
            }
        }
    }

    fn step(&self, heard: &mut Heard, now: Instant, entry: &Entry) {
        match &entry.mark {
            Mark::Begun(begun) => {
                heard.run = vec![("run".to_owned(), begun.run.to_string()), ("vm".to_owned(), begun.vm.clone())];
            }
            Mark::Intent { step: Step::Copy | Step::Dump, .. } => {
                (heard.copies_began, heard.copy_began, heard.copy_said) = (Some(now), Some(now), None);
                (heard.cow_percent, heard.cow_peak) = (None, None);
            }
            Mark::Failed { error, .. } if *error == heard.last_error => return,
            Mark::Failed { error, .. } => heard.last_error.clone_from(error),
            _ => {}
        }
        self.voice.status(match &entry.mark {
            Mark::Intent { step, .. } => meanwhile(*step).map(|text| Status::Text(text.to_owned())),
            _ => None,
        });
        let fields: Vec<Field> = heard.run.iter().cloned().chain(fields(&entry.mark)).collect();
        self.voice.say(&Sentence::of(&entry.mark), &fields);
    }

    fn copy(&self, heard: &mut Heard, now: Instant, copying: Copying, last: bool) {
        let began = *heard.copy_began.get_or_insert(now);
        let all_began = *heard.copies_began.get_or_insert(now);
        if last {
            self.voice.status(None);
            let copying = Copying { cow_percent: heard.cow_peak, ..copying };
            self.voice.say(&Sentence::new(Level::INFO, &copying.end(now.duration_since(began))), &heard.run);
            (heard.copy_began, heard.copy_said, heard.cow_percent, heard.cow_peak) = (Some(now), None, None, None);
            return;
        }
        match self.voice.manner().copies {
            Copies::Bar => self.voice.status(Some(Status::Copy(copying))),
            Copies::Lines => {
                let before = heard.copy_said.unwrap_or(began);
                if now.duration_since(before) >= interval(now.duration_since(all_began)) {
                    heard.copy_said = Some(now);
                    self.voice.say(&Sentence::new(Level::INFO, &copying.line()), &heard.run);
                }
            }
            Copies::Untold => {}
        }
    }

    fn dump(&self, heard: &mut Heard, now: Instant, received_bytes: u64, bytes_per_s: f64) {
        let began = *heard.copy_began.get_or_insert(now);
        let text = format!("dumping the database: {}, {}", Bytes(received_bytes), speed(bytes_per_s));
        match self.voice.manner().copies {
            Copies::Bar => self.voice.status(Some(Status::Text(text))),
            Copies::Lines => {
                let before = heard.copy_said.unwrap_or(began);
                if now.duration_since(before) >= interval(now.duration_since(began)) {
                    heard.copy_said = Some(now);
                    self.voice.say(&Sentence::new(Level::INFO, &text), &heard.run);
                }
            }
            Copies::Untold => {}
        }
    }

    fn document(&self, heard: &mut Heard, now: Instant, event: &Event) {
        let level = match event {
            Event::Note { .. } => Level::WARN,
            // As much as its sentence matters; all of them are said, as far as no warnings alone are wanted.
            Event::Step(entry) => Sentence::of(&entry.mark).level.min(Level::INFO),
            Event::Copy { .. } | Event::Cow { .. } | Event::Dump { .. } => Level::INFO,
        };
        let is_due = match event {
            Event::Step(_) | Event::Note { .. } => true,
            Event::Copy { last, .. } => {
                let before = heard.copy_said.map(|said| now.duration_since(said));
                heard.copy_is_due = *last || before.is_none_or(|before| before >= DOCUMENT_INTERVAL);
                if heard.copy_is_due {
                    heard.copy_said = (!last).then_some(now);
                }
                heard.copy_is_due
            }
            Event::Dump { .. } => {
                let is_due = heard.copy_said.is_none_or(|said| now.duration_since(said) >= DOCUMENT_INTERVAL);
                if is_due {
                    heard.copy_said = Some(now);
                }
                is_due
            }
            Event::Cow { .. } => heard.copy_is_due,
        };
        if is_due && self.voice.says(level) {
            let at = if matches!(event, Event::Step(_)) { None } else { Some(self.voice.now()) };
            self.voice.tell(&Document { at, event });
        }
    }
}

impl Listener for Told {
    fn hear(&self, event: &Event) {
        self.hear_at(Instant::now(), event);
    }
}

/// Between two lines about a copy: often while somebody may be watching, and few in the mail of a night.
fn interval(elapsed: Duration) -> Duration {
    Duration::from_secs(match elapsed.as_secs() {
        0..60 => 5,
        60..600 => 60,
        _ => 600,
    })
}

/// What the line of the run log has, each by its name.
fn fields(mark: &Mark) -> Vec<Field> {
    let Ok(Value::Object(mut line)) = serde_json::to_value(mark) else { return Vec::new() };
    let detail = line.remove("detail").and_then(|detail| detail.as_object().cloned()).unwrap_or_default();
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    line.into_iter().chain(detail).map(|(name, value)| (name, text(value))).collect()
}
