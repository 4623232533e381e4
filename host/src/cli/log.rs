//! The log on stderr, written by a thread of its own.
//!
//! A terminal that was stopped (Ctrl-S), or a pipe that nobody reads, blocks whoever writes to it. Between freeze and thaw that
//! must not be the one who thaws: lines that find no room are dropped.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;
use std::time::Duration;

/// Lines that may wait.
const LINES: usize = 4096;
/// How long the end of the program waits for a stderr that takes nothing.
const FLUSH: Duration = Duration::from_secs(1);

static LOG: OnceLock<Log> = OnceLock::new();

enum Message {
    Line(Vec<u8>),
    Flushed(Sender<()>),
}

/// A writer that never blocks. Each write is one line of the log.
#[derive(Clone)]
pub struct Log {
    lines: SyncSender<Message>,
}

/// The log on stderr; the first call starts it.
pub fn on_stderr() -> Log {
    LOG.get_or_init(|| Log::to(io::stderr())).clone()
}

/// Waits, not for long, until all that was logged is written: before anything else is printed, and before the end.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.wait();
    }
}

impl Log {
    fn to(sink: impl Write + Send + 'static) -> Self {
        let (lines, to_write) = mpsc::sync_channel(LINES);
        // Without the thread the receiver goes, and all lines with it.
        drop(thread::Builder::new().name("log".into()).spawn(move || write_all(&to_write, sink)));
        Self { lines }
    }

    fn wait(&self) {
        let (flushed, written) = mpsc::channel();
        if self.lines.try_send(Message::Flushed(flushed)).is_ok() {
            written.recv_timeout(FLUSH).ok();
        }
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Full or without a thread: the line is lost, and nobody waits for it.
        drop(self.lines.try_send(Message::Line(line.to_vec())));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(lines: &Receiver<Message>, mut sink: impl Write) {
    for message in lines {
        match message {
            // Where stderr is gone there is nobody left to tell.
            Message::Line(line) => drop(sink.write_all(&line)),
            Message::Flushed(whoever) => drop(whoever.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_stopped_terminal_stops_nobody_who_logs() {
        let (go_on, stopped) = mpsc::channel();
        let mut log = Log::to(Stopped(stopped));
        for _ in 0..3 * LINES {
            log.write_all(b"freeze done\n").unwrap();
        }
        drop(go_on);
    }

    #[test]
    fn what_was_logged_is_written_when_it_was_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut log = Log::to(writer);
        log.write_all(b"one\n").unwrap();
        log.write_all(b"two\n").unwrap();
        log.wait();
        let mut written = [0; 8];
        io::Read::read_exact(&mut reader, &mut written).unwrap();
        assert_eq!(&written, b"one\ntwo\n");
    }
}
