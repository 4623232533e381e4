//! A sentence as a line of stderr.

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::Level;

use super::journal::{self, Field};
use super::manner::{Form, Paint};
use super::queue::Line;
use crate::cli::sentence::Sentence;

/// What is said outside of a run's events, with `--progress json`.
#[derive(Debug, Serialize)]
struct Log<'s> {
    event: &'static str,
    at: &'s str,
    level: String,
    text: &'s str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
}

impl Form {
    /// The line, said `at` (RFC 3339, UTC). With `details` for whoever asked for them.
    #[must_use]
    pub fn line(self, sentence: &Sentence, fields: &[Field], details: bool, at: &str) -> Line {
        let Sentence { level, text, detail, stands_out } = sentence;
        let detail = if details && !detail.is_empty() { format!(" ({detail})") } else { String::new() };
        match self {
            Self::Text { paint, stamped } => {
                let word = match *level {
                    Level::ERROR => "error: ",
                    Level::WARN => "warning: ",
                    _ => "",
                };
                // Later lines are indented, so that none can pass for one of its own.
                let said = format!("{word}{}{detail}", text.replace('\n', "\n  "));
                let stamp = if stamped { format!("{} ", to_the_second(at)) } else { String::new() };
                let paint = paint.before(*level, *stands_out);
                Line { text: format!("{stamp}{said}\n"), paint, wraps: !stamped, record: None }
            }
            Self::Journal => {
                let message = format!("{text}{detail}");
                let record = Some(journal::record(*level, &message, fields));
                Line { text: prefixed(*level, &message), record, ..Line::default() }
            }
            Self::Json => {
                let fields = fields.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
                let level = level.as_str().to_lowercase();
                document(&Log { event: "log", at, level, text, fields })
            }
        }
    }

    /// The last words of a command: several lines, which are as they are.
    #[must_use]
    pub fn last(self, level: Level, text: &str) -> Line {
        match self {
            Self::Text { paint, stamped } => {
                let paint = paint.before(level, false);
                Line { text: text.to_owned(), paint, wraps: !stamped, record: None }
            }
            Self::Journal => Line { text: prefixed(level, text), ..Line::default() },
            Self::Json => Line { text: text.to_owned(), ..Line::default() },
        }
    }
}

/// A document in a line.
pub fn document(document: &impl Serialize) -> Line {
    // A map with keys that are no strings cannot be written; none is.
    let text = serde_json::to_string(document).unwrap_or_default();
    Line { text: text + "\n", ..Line::default() }
}

/// Each line with its priority before it, as sd-daemon(3) has it: for the journal where it does not take a record.
fn prefixed(level: Level, text: &str) -> String {
    text.lines().map(|line| format!("<{}>{line}\n", journal::priority(level))).collect()
}

/// `2026-11-21T19:59:23.123Z` without what is smaller.
fn to_the_second(at: &str) -> String {
    at.split_once('.').map_or_else(|| at.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

impl Paint {
    fn before(self, level: Level, stands_out: bool) -> &'static str {
        let (colour, bold) = match level {
            Level::ERROR => ("\x1b[1;31m", "\x1b[1m"),
            Level::WARN => ("\x1b[33m", ""),
            Level::INFO if stands_out => ("\x1b[1;32m", "\x1b[1m"),
            Level::INFO => ("", ""),
            _ => ("\x1b[2m", ""),
        };
        match self {
            Self::Colour => colour,
            Self::Bold => bold,
            Self::None => "",
        }
    }
}
