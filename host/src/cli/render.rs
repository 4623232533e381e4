//! What a person or a program gets to see: the only place that prints.
//!
//! A terminal or reader that went away changes nothing of what was done, so no write here may panic, as `eprintln!` does.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use serde::Serialize;
use serde_json::json;
use tracing::Level;

use super::describe;
use super::sentence::Sentence;
use super::voice::{self, Form};
use crate::documents::receipt::Receipt;
use crate::failure::Failure;
use crate::failure::exit::Exit;

/// An answer is a word.
const MAX_ANSWER: u64 = 64;

/// One JSON document on stdout. Returns what the command ends with, which was to be `exit`.
#[must_use]
pub fn json(document: &impl Serialize, exit: Exit) -> Exit {
    match serde_json::to_string_pretty(document) {
        Ok(text) => write(&(text + "\n"), exit),
        Err(error) => lost(&error.into(), exit),
    }
}

/// One JSON document on a line of stdout, of several. Returns what the command ends with, which was to be `exit`.
#[must_use]
pub fn line(document: &impl Serialize, exit: Exit) -> Exit {
    match serde_json::to_string(document) {
        Ok(text) => write(&(text + "\n"), exit),
        Err(error) => lost(&error.into(), exit),
    }
}

/// Text on stdout in the place of the one before, where that is a terminal; else behind it. Returns what the command ends with, which was
/// to be `exit`.
#[must_use]
pub fn look(text: &str, exit: Exit) -> Exit {
    const TO_THE_TOP_AND_EMPTY: &str = "\u{1b}[H\u{1b}[J";
    let before = if io::stdout().is_terminal() { TO_THE_TOP_AND_EMPTY } else { "" };
    write(&(before.to_owned() + &harmless(text)), exit)
}

/// Text on stdout. Returns what the command ends with, which was to be `exit`.
#[must_use]
pub fn text(text: &str, exit: Exit) -> Exit {
    write(&harmless(text), exit)
}

/// Text on stderr, after all that was said there. Not for `backup`, which may have to say documents.
pub fn note(text: &str) {
    voice::stderr().last_words(Level::WARN, &harmless(text));
}

/// Asks on the terminal, after all that was said there; whether the answer was yes.
#[must_use]
pub fn confirmed(question: &str) -> bool {
    voice::stderr().settle();
    let mut stderr = io::stderr().lock();
    let asked = stderr.write_all(harmless(question).as_bytes()).and_then(|()| stderr.flush());
    drop(stderr);
    let mut answer = String::new();
    let read = asked.and_then(|()| io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer));
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// The receipt on stderr, where stdout has the image.
pub fn receipt_beside_image(receipt: &Receipt) {
    match voice::stderr() {
        voice if voice.manner().form == Form::Json => {
            voice.last_document(&json!({ "event": "receipt", "at": voice.now(), "receipt": receipt }));
        }
        voice => voice.last_words(Level::INFO, &harmless(&describe::receipt(receipt, None))),
    }
}

/// A failure of `what` (a command and what it is about) on stderr, and where asked as one JSON document on stdout too.
/// Returns what the command ends with.
#[must_use]
pub fn failure(what: &str, failure: &Failure, as_json: bool) -> Exit {
    let document = failure.document(what);
    match voice::stderr() {
        voice if voice.manner().form == Form::Json => {
            voice.last_document(&json!({ "event": "failure", "at": voice.now(), "error": document.error }));
        }
        voice => voice.last_words(Level::ERROR, &harmless(&failure.describe(what))),
    }
    if as_json { json(&document, failure.exit()) } else { failure.exit() }
}

/// How wide stdout is, where it is a terminal.
#[must_use]
pub fn columns() -> Option<usize> {
    let size = io::stdout().is_terminal().then(|| rustix::termios::tcgetwinsize(io::stdout()).ok())?;
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

fn write(text: &str, exit: Exit) -> Exit {
    // Both may be one terminal.
    voice::stderr().settle();
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => exit,
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit,
        Err(error) => lost(&error, exit),
    }
}

/// An output that was lost is a failure, unless something worse is to be said.
fn lost(error: &io::Error, exit: Exit) -> Exit {
    voice::stderr().say(&Sentence::new(Level::ERROR, &format!("cannot write to stdout: {error}")), &[]);
    match exit {
        Exit::Done | Exit::Weaker | Exit::ByDump => Exit::Failed,
        Exit::Failed | Exit::Usage | Exit::Damaged | Exit::NeedsPerson => exit,
    }
}

/// Names and messages come from guests and their disks: what would steer a terminal, or turn its text around, is shown escaped.
fn harmless(text: &str) -> String {
    let steers =
        |c: char| c != '\n' && c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_says_cannot_steer_the_terminal() {
        assert_eq!(harmless("bin\u{1b}[2J.000001\n\u{9b}m\u{202e}"), "bin\\u{1b}[2J.000001\n\\u{9b}m\\u{202e}");
        assert_eq!(harmless("größe 7 MiB\n"), "größe 7 MiB\n");
    }
}
