//! How a client in the guest ended, as far as it is known.

use super::DumpError;
use crate::agent::{Exit, guest_text};

/// What a shell adds to the number of the signal that ended a program.
const SIGNALLED: i64 = 128;

/// A dump that was carried out of the guest to its last byte. Whether it is whole, [`verdict`](super::verdict()) says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How the client ended.
    pub exit: Exit,
    /// What it said beside the dump: the guest's words, bounded, and to be shown by [`NotWhole`](super::NotWhole) only.
    pub stderr: String,
    /// What the guest counted of its output.
    pub counted_bytes: u64,
    /// What arrived.
    pub received_bytes: u64,
    /// The first of it: there MariaDB's client writes the coordinates.
    pub head: Vec<u8>,
    /// The last of it, at least its last line where that is an end mark; before that newer clients of MariaDB write the GTID position.
    pub tail: Vec<u8>,
}

/// What the script says when the client has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientEnd {
    pub(super) exit: Exit,
    pub(super) stderr: String,
    pub(super) counted_bytes: u64,
}

impl ClientEnd {
    /// The most of what the client said that is kept.
    const STDERR_MAX_BYTES: usize = 16 << 10;

    /// `ended CODE BYTES` in the first line, then the client's words; `None` where nothing was said.
    pub(super) fn read(said: &[u8]) -> Result<Option<Self>, DumpError> {
        if said.is_empty() {
            return Ok(None);
        }
        let mut parts = said.splitn(2, |byte| *byte == b'\n');
        let line = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let words: Vec<&str> = line.split(' ').collect();
        let (code, counted_bytes) = match words[..] {
            ["ended", code, bytes] => (code.parse::<u8>().ok(), bytes.parse().ok()),
            _ => (None, None),
        };
        let Some((code, counted_bytes)) = code.map(i64::from).zip(counted_bytes) else {
            return Err(DumpError::Unexpected { doing: "reading a dump", detail: guest_text(&line) });
        };
        let exit = if code > SIGNALLED { Exit::Signal(code - SIGNALLED) } else { Exit::Code(code) };
        let stderr = parts.next().unwrap_or_default();
        let stderr = &stderr[..stderr.len().min(Self::STDERR_MAX_BYTES)];
        Ok(Some(Self { exit, stderr: String::from_utf8_lossy(stderr).into_owned(), counted_bytes }))
    }
}

/// The first and the last bytes of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Edges {
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
}

impl Edges {
    /// More than a long GTID position has.
    const MAX_BYTES: usize = 16 << 10;

    pub(super) fn push(&mut self, piece: &[u8]) {
        let missing = Self::MAX_BYTES - self.head.len();
        self.head.extend(piece.iter().take(missing));
        self.tail.extend_from_slice(&piece[piece.len().saturating_sub(Self::MAX_BYTES)..]);
        self.tail.drain(..self.tail.len().saturating_sub(Self::MAX_BYTES));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_client_is_read_with_its_words() {
        let read = |said: &str| ClientEnd::read(said.as_bytes());
        let end = |exit, stderr: &str| ClientEnd { exit, stderr: stderr.to_owned(), counted_bytes: 7 };
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("ended 0 7\n").unwrap(), Some(end(Exit::Code(0), "")));
        assert_eq!(read("ended 2 7\nno\nway\n").unwrap(), Some(end(Exit::Code(2), "no\nway\n")));
        assert_eq!(read("ended 137 7\n").unwrap(), Some(end(Exit::Signal(9), "")));
        for odd in ["ended", "ended 0", "ended 0 -7", "ended 256 7", "ended 0 7 7", "sh: ended 0 7", "\n"] {
            assert!(matches!(read(odd), Err(DumpError::Unexpected { .. })), "{odd:?}");
        }
    }

    #[test]
    fn what_a_client_says_is_bounded() {
        let said = [b"ended 2 7\n", &vec![b'x'; 1 << 20][..]].concat();
        assert_eq!(ClientEnd::read(&said).unwrap().unwrap().stderr.len(), 16 << 10);
    }

    #[test]
    fn the_edges_are_those_of_all_pieces_together() {
        let mut edges = Edges::default();
        for piece in [b"xy", &[b'a'; 20_000][..], b"bc", b"", b"d"] {
            edges.push(piece);
        }
        assert_eq!((edges.head.len(), edges.tail.len()), (16 << 10, 16 << 10));
        assert!(edges.head.starts_with(b"xyaa") && edges.tail.ends_with(b"aabcd"));
    }
}
