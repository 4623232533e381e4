//! Stderr: everything that is said there, in one form, written by a thread of its own.
//!
//! Nobody but the last words waits for it (see `queue.rs`), and nothing else writes to it while a command runs.

mod form;
mod journal;
mod layer;
mod manner;
mod panic;
mod queue;
mod screen;
mod status;

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use tracing::Level;

pub use self::journal::Field;
pub use self::layer::Passed;
pub use self::manner::{Copies, Form, Manner, Paint, Progress, Surroundings};
pub use self::panic::say_panics;
pub use self::status::Status;

use self::queue::{Line, Outlet, Queue};
use self::screen::Screen;
use super::sentence::Sentence;
use crate::clock::Clock;

/// How long whoever is about to write elsewhere waits for a stderr that takes nothing.
const SETTLE: Duration = Duration::from_secs(1);

static STDERR: OnceLock<Voice> = OnceLock::new();

/// Says things without waiting for anybody to hear them.
#[derive(Clone)]
pub struct Voice {
    manner: Manner,
    level: Level,
    clock: Clock,
    queue: Arc<Queue>,
}

/// The voice of this process; the first call says how it sounds.
pub fn start(manner: Manner, level: Level) -> &'static Voice {
    STDERR.get_or_init(|| {
        let columns = || rustix::termios::tcgetwinsize(io::stderr()).ok().map(|size| size.ws_col.into());
        Voice::to(Box::new(io::stderr()), Box::new(columns), manner, level, Clock::system())
    })
}

/// The voice of this process.
pub fn stderr() -> &'static Voice {
    start(Manner::of(Progress::Auto, Surroundings::here()), Level::INFO)
}

impl Voice {
    /// One that writes to `sink`, which is `columns` wide, what matters as much as `level` or more.
    #[must_use]
    pub fn to(
        sink: Box<dyn Write + Send>,
        columns: Box<dyn Fn() -> Option<usize> + Send>,
        manner: Manner,
        level: Level,
        clock: Clock,
    ) -> Self {
        let queue = Arc::new(Queue::default());
        let lost = move |count| {
            let text = format!("{count} lines are missing here: they found no room while nobody read");
            manner.form.line(&Sentence::new(Level::WARN, &text), &[], false, &clock.utc())
        };
        let journal = if manner.form == Form::Journal { journal::connect() } else { None };
        let mut screen = Screen::new(sink, columns, journal, Box::new(lost));
        let outlet = Outlet(queue.clone());
        let writing = move || loop {
            screen.write(outlet.0.next());
        };
        // Without the thread its end of the queue is gone, too.
        drop(thread::Builder::new().name("stderr".into()).spawn(writing));
        Self { manner, level, clock, queue }
    }

    /// How things are said.
    #[must_use]
    pub fn manner(&self) -> Manner {
        self.manner
    }

    /// Whether what matters this much is said.
    #[must_use]
    pub fn says(&self, level: Level) -> bool {
        level <= self.level
    }

    /// Now, RFC 3339, UTC.
    #[must_use]
    pub fn now(&self) -> String {
        self.clock.utc()
    }

    /// Says a sentence; `fields` are what a program finds in it.
    pub fn say(&self, sentence: &Sentence, fields: &[Field]) {
        if self.says(sentence.level) {
            let details = self.says(Level::DEBUG);
            self.queue.push(self.manner.form.line(sentence, fields, details, &self.now()));
        }
    }

    /// Says a document. For [`Form::Json`].
    pub fn tell(&self, document: &impl Serialize) {
        self.queue.push(form::document(document));
    }

    /// Says what goes on now, where that is drawn at all.
    pub fn status(&self, status: Option<Status>) {
        if self.manner.copies == Copies::Bar && self.says(Level::INFO) {
            self.queue.set_status(status);
        }
    }

    /// Says the last words of a command, which have a form of their own, and waits until they are written.
    pub fn last_words(&self, level: Level, text: &str) {
        self.last(self.manner.form.last(level, text));
    }

    /// The same as a document. For [`Form::Json`].
    pub fn last_document(&self, document: &impl Serialize) {
        self.last(form::document(document));
    }

    fn last(&self, line: Line) {
        let text = line.text.clone();
        self.queue.set_status(None);
        self.queue.push_always(line);
        if !self.queue.wait(None) {
            // Where stderr is gone there is nobody left to tell.
            drop(io::stderr().write_all(text.as_bytes()));
        }
    }

    /// Takes away what goes on, and waits, not for long, until all is written: before anything is written elsewhere, and at
    /// the end.
    pub fn settle(&self) {
        self.queue.set_status(None);
        self.wait();
    }

    /// Waits, not for long, until all is written.
    pub fn wait(&self) {
        self.queue.wait(Some(SETTLE));
    }
}

#[cfg(test)]
mod tests;
