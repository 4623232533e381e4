use std::sync::mpsc::{self, Receiver};

use super::*;

const PLAIN: Manner = Manner { form: Form::Text { paint: Paint::None, stamped: false }, copies: Copies::Bar };

/// Takes nothing until the other side is dropped.
struct Stopped(Receiver<()>);

impl Write for Stopped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.recv().ok();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn voice(sink: impl Write + Send + 'static) -> Voice {
    Voice::to(Box::new(sink), Box::new(|| None), PLAIN, Level::INFO, Clock::system())
}

#[test]
fn a_stopped_terminal_stops_nobody_who_speaks() {
    let (go_on, stopped) = mpsc::channel();
    let voice = voice(Stopped(stopped));
    for number in 0..20_000 {
        voice.say(&Sentence::new(Level::INFO, "frozen"), &[]);
        voice.status(Some(Status::Text(number.to_string())));
    }
    voice.settle();
    drop(go_on);
}

#[test]
fn what_was_said_is_written_when_it_was_waited_for() {
    let (mut reader, writer) = io::pipe().unwrap();
    let voice = voice(writer);
    voice.say(&Sentence::new(Level::INFO, "one"), &[]);
    voice.say(&Sentence::new(Level::DEBUG, "nobody asked for this"), &[]);
    voice.say(&Sentence::new(Level::WARN, "two\nthree"), &[]);
    voice.settle();
    let mut written = [0; 25];
    io::Read::read_exact(&mut reader, &mut written).unwrap();
    assert_eq!(str::from_utf8(&written).unwrap(), "one\nwarning: two\n  three\n");
}

#[test]
fn last_words_are_written_as_they_are() {
    let (mut reader, writer) = io::pipe().unwrap();
    voice(writer).last_words(Level::ERROR, "stillpoint: backup failed\n");
    let mut written = [0; 26];
    io::Read::read_exact(&mut reader, &mut written).unwrap();
    assert_eq!(&written, b"stillpoint: backup failed\n");
}
