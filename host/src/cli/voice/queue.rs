//! What waits to be written. Whoever puts something here waits for nobody: a terminal that was stopped (Ctrl-S), or a pipe
//! that nobody reads, must not be the one who keeps a guest frozen.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::status::Status;

/// Lines that may wait.
const MAX_LINES: usize = 4096;
/// Bytes that they may have together.
const MAX_BYTES: usize = 4 << 20;

/// One thing to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What goes to stderr, its end included.
    pub text: String,
    /// The control sequence before it that makes it stand out, or nothing.
    pub paint: &'static str,
    /// Too long for a terminal it is broken between words.
    pub wraps: bool,
    /// What goes to the journal instead, where it takes it.
    pub record: Option<Vec<u8>>,
}

/// What the writer is to do next.
#[derive(Debug, Default)]
pub struct Work {
    /// Lines that found no room before this one.
    pub lost: usize,
    /// The next line.
    pub line: Option<Line>,
    /// What goes on now; it is asked for once more where `line` is there too.
    pub status: Option<Status>,
}

/// Lines in order, and the latest status: of the one nothing is skipped while there is room, of the other everything but
/// the latest.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    bytes: usize,
    lost: usize,
    status: Option<Status>,
    status_is_new: bool,
    writing: bool,
    /// Nobody writes any more.
    closed: bool,
}

/// The writer's end of a queue. Without it nobody waits in vain.
#[derive(Debug)]
pub struct Outlet(pub Arc<Queue>);

impl Drop for Outlet {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.changed.notify_all();
    }
}

impl Queue {
    /// Adds a line; it is lost where there is no room for it.
    pub fn push(&self, line: Line) {
        let mut state = self.state();
        let size = line.size();
        if state.lines.len() >= MAX_LINES || state.bytes + size > MAX_BYTES {
            state.lost += 1;
        } else {
            state.append(line, size);
        }
        self.changed.notify_all();
    }

    /// Adds a line, room or not. For the last words of a command, of which there are few.
    pub fn push_always(&self, line: Line) {
        let size = line.size();
        self.state().append(line, size);
        self.changed.notify_all();
    }

    /// What goes on now.
    pub fn set_status(&self, status: Option<Status>) {
        let mut state = self.state();
        if status.is_some() || state.status.is_some() {
            (state.status, state.status_is_new) = (status, true);
            self.changed.notify_all();
        }
    }

    /// Waits for work.
    pub fn next(&self) -> Work {
        let mut state = self.state();
        state.writing = false;
        self.changed.notify_all();
        while state.is_idle() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writing = true;
        state.status_is_new = false;
        let line = state.lines.pop_front();
        state.bytes -= line.as_ref().map_or(0, Line::size);
        // Said where it is: after the lines that were there before.
        let lost = if state.lines.is_empty() { std::mem::take(&mut state.lost) } else { 0 };
        Work { lost, line, status: state.status.clone() }
    }

    /// Waits until all is written, for `patience` at the most. Whether it is.
    pub fn wait(&self, patience: Option<Duration>) -> bool {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut state = self.state();
        while !state.is_idle() || state.writing {
            if state.closed {
                return false;
            }
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return false,
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, line: Line, size: usize) {
        self.bytes += size;
        self.lines.push_back(line);
    }

    fn is_idle(&self) -> bool {
        self.lines.is_empty() && self.lost == 0 && !self.status_is_new
    }
}

impl Line {
    fn size(&self) -> usize {
        self.text.len() + self.record.as_ref().map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_writer_that_is_gone() {
        let queue = Arc::new(Queue::default());
        queue.push(line("frozen\n"));
        drop(Outlet(queue.clone()));
        assert!(!queue.wait(None));
    }

    fn line(text: &str) -> Line {
        Line { text: text.to_owned(), ..Line::default() }
    }

    #[test]
    fn what_waits_is_bounded_and_what_found_no_room_is_counted() {
        let queue = Queue::default();
        for _ in 0..MAX_LINES + 7 {
            queue.push(line("frozen\n"));
            queue.set_status(Some(Status::Text("copying".to_owned())));
        }
        let last = (0..MAX_LINES).map(|_| queue.next()).last().unwrap();
        assert_eq!((last.line, last.lost), (Some(line("frozen\n")), 7));
        assert!(queue.state().is_idle() && queue.state().bytes == 0);
        queue.push(line(&"x".repeat(MAX_BYTES + 1)));
        let work = queue.next();
        assert_eq!((work.line, work.lost), (None, 1));
    }

    #[test]
    fn of_what_goes_on_only_the_latest_is_kept() {
        let queue = Queue::default();
        for percent in 0..100 {
            queue.set_status(Some(Status::Text(format!("{percent}%"))));
        }
        assert_eq!(queue.next().status, Some(Status::Text("99%".to_owned())));
        assert!(queue.state().is_idle());
    }

    #[test]
    fn last_words_find_room() {
        let queue = Queue::default();
        (0..=MAX_LINES).for_each(|_| queue.push(line("x\n")));
        queue.push_always(line("stillpoint: backup failed\n"));
        let lines = (0..=MAX_LINES).map(|_| queue.next().line);
        assert_eq!(lines.last().unwrap(), Some(line("stillpoint: backup failed\n")));
    }
}
