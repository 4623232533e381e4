//! Where lines go, and on a terminal the one below them that tells what goes on. Used by the writing thread only.

use std::io::Write;
use std::os::unix::net::UnixDatagram;

use unicode_width::UnicodeWidthStr;

use super::queue::{Line, Work};
use crate::show::wrap::hanging;

/// Where a terminal does not say how wide it is.
const COLUMNS: usize = 80;
/// How far the rest of a line that is too long stands under its beginning.
const HANG: usize = 2;

/// A terminal or a file, and the journal.
pub struct Screen {
    sink: Box<dyn Write + Send>,
    columns: Box<dyn Fn() -> Option<usize> + Send>,
    journal: Option<UnixDatagram>,
    lost: Box<dyn Fn(usize) -> Line + Send>,
    /// Columns of the status that stands there; 0 where none does.
    drawn: usize,
}

impl Screen {
    /// Writes to `sink`, `columns` wide, and records to `journal`. `lost` says how many lines found no room.
    pub fn new(
        sink: Box<dyn Write + Send>,
        columns: Box<dyn Fn() -> Option<usize> + Send>,
        journal: Option<UnixDatagram>,
        lost: Box<dyn Fn(usize) -> Line + Send>,
    ) -> Self {
        Self { sink, columns, journal, lost, drawn: 0 }
    }

    /// Writes a line above the status, and the status anew: in one write, so that nothing flickers.
    pub fn write(&mut self, work: Work) {
        let mut text = String::new();
        let columns = (self.columns)().filter(|columns| *columns > 0).unwrap_or(COLUMNS);
        if self.drawn > 0 {
            // A terminal that has become narrower has broken the line that stands there into several.
            let above = (self.drawn - 1) / columns;
            if above > 0 {
                text += &format!("\x1b[{above}A");
            }
            text += "\r\x1b[J";
            self.drawn = 0;
        }
        let lost = (work.lost > 0).then(|| (self.lost)(work.lost));
        for line in work.line.into_iter().chain(lost) {
            if !self.record(&line) {
                text += &shown(line, columns);
            }
        }
        if let Some(status) = work.status {
            // A character in the last column makes some terminals begin a new line.
            let status = status.drawn(columns - 1);
            self.drawn = status.width();
            text += &status;
        }
        // Where stderr is gone there is nobody left to tell.
        drop(self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush()));
    }

    fn record(&self, line: &Line) -> bool {
        match (&self.journal, &line.record) {
            (Some(journal), Some(record)) => journal.send(record).is_ok_and(|sent| sent == record.len()),
            _ => false,
        }
    }
}

fn shown(Line { text, paint, wraps, .. }: Line, columns: usize) -> String {
    let lines = text.trim_end_matches('\n').split('\n');
    let text =
        if wraps { lines.map(|line| hanging(line, columns, HANG)).collect::<Vec<_>>().join("\n") + "\n" } else { text };
    match text.strip_suffix('\n') {
        Some(text) if !paint.is_empty() => format!("{paint}{text}\x1b[0m\n"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::status::Status;
    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    #[test]
    fn a_status_that_a_narrower_terminal_has_broken_is_taken_away_whole() {
        let (written, columns) = (Written::default(), Arc::new(Mutex::new(20)));
        let width = columns.clone();
        let width = move || Some(*width.lock().unwrap());
        let mut screen = Screen::new(Box::new(written.clone()), Box::new(width), None, Box::new(|_| Line::default()));
        screen.write(Work { status: Some(Status::Text("waiting for the tables".to_owned())), ..Work::default() });
        assert_eq!(written.take(), "waiting for the tab");
        *columns.lock().unwrap() = 8;
        screen.write(Work::default());
        assert_eq!(written.take(), "\x1b[2A\r\x1b[J");
        screen.write(Work::default());
        assert_eq!(written.take(), "");
    }

    #[test]
    fn a_long_line_is_broken_between_words_and_painted_as_a_whole() {
        let written = Written::default();
        let mut screen =
            Screen::new(Box::new(written.clone()), Box::new(|| Some(12)), None, Box::new(|_| Line::default()));
        let line = Line { text: "warning: the lock\n".to_owned(), paint: "\x1b[33m", wraps: true, record: None };
        screen.write(Work { line: Some(line), ..Work::default() });
        assert_eq!(written.take(), "\x1b[33mwarning: the\n  lock\x1b[0m\n");
    }
}
