//! What a person or a program gets to see: the only place that prints.
//!
//! A terminal or reader that went away changes nothing of what was done, so no write here may panic, as `eprintln!` does.

use std::io::{self, Write};

use serde::Serialize;

use super::log;
use crate::failure::Failure;

/// One JSON document on stdout.
pub fn json(document: &impl Serialize) {
    let mut stdout = io::stdout().lock();
    let written = serde_json::to_writer_pretty(&mut stdout, document).map_err(io::Error::from);
    warn_if_lost(written.and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()));
}

/// Text on stdout.
pub fn text(text: &str) {
    let mut stdout = io::stdout().lock();
    warn_if_lost(stdout.write_all(harmless(text).as_bytes()).and_then(|()| stdout.flush()));
}

/// Text on stderr.
pub fn note(text: &str) {
    log::flush();
    // Where stderr is gone there is nobody left to tell.
    drop(io::stderr().write_all(harmless(text).as_bytes()));
}

/// A failure of `what` (a command and what it is about) on stderr, and where asked as one JSON document on stdout too.
pub fn failure(what: &str, failure: &Failure, as_json: bool) {
    note(&failure.describe(what));
    if as_json {
        json(&failure.document(what));
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

fn warn_if_lost(written: io::Result<()>) {
    if let Err(error) = written {
        tracing::warn!("cannot write to stdout: {error}");
    }
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
