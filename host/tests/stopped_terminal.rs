//! A terminal that was stopped (Ctrl-S) between freeze and thaw: whoever speaks goes on at once, whatever it is that he says.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{self, Write};
use std::panic::catch_unwind;
use std::sync::mpsc::{self, Receiver};

use stillpoint::cli::listen::Told;
use stillpoint::cli::voice::{Copies, Form, Manner, Paint, Voice, say_panics};
use stillpoint::clock::Clock;
use stillpoint::run::event::{Event, Listener};
use tracing::Level;

/// Takes nothing until the other side is dropped; keeps what it was given then.
struct Stopped {
    go_on: Receiver<()>,
    kept: mpsc::Sender<String>,
}

impl Write for Stopped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.go_on.recv().ok();
        self.kept.send(String::from_utf8(bytes.to_vec()).unwrap()).ok();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A voice on a stopped terminal; what goes on when the first is dropped; what was said then.
fn stopped(form: Form, copies: Copies) -> (mpsc::Sender<()>, Voice, Receiver<String>) {
    let ((go_on, stopped), (kept, said)) = (mpsc::channel(), mpsc::channel());
    let sink = Stopped { go_on: stopped, kept };
    let manner = Manner { form, copies };
    (go_on, Voice::to(Box::new(sink), Box::new(|| Some(80)), manner, Level::TRACE, Clock::system()), said)
}

const TEXT: Form = Form::Text { paint: Paint::Colour, stamped: false };

#[test]
fn the_listener_hears_a_long_run_to_its_end() {
    let events: Vec<Event> =
        include_str!("../../fixtures/events.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (form, copies) in [(TEXT, Copies::Bar), (TEXT, Copies::Lines), (Form::Json, Copies::Untold)] {
        let (go_on, voice, said) = stopped(form, copies);
        let told = Told::by(voice.clone());
        for _ in 0..200 {
            events.iter().for_each(|event| told.hear(event));
        }
        voice.settle();
        // It is stopped to here: nothing that was said has been waited for.
        assert_eq!(said.try_recv(), Err(mpsc::TryRecvError::Empty));
        drop(go_on);
    }
}

#[test]
fn a_panic_unwinds_to_the_guards_that_thaw_and_is_said_later() {
    let (go_on, voice, said) = stopped(TEXT, Copies::Bar);
    say_panics(Box::leak(Box::new(voice)));
    let unwound = catch_unwind(|| panic!("no room for 7 bytes"));
    assert!(unwound.is_err());
    assert_eq!(said.try_recv(), Err(mpsc::TryRecvError::Empty));
    drop(go_on);
    let text = said.recv().unwrap();
    assert!(text.contains("error: panicked at") && text.contains("\n  no room for 7 bytes"), "{text}");
}
