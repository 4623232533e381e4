//! Content on its way to a terminal.

use std::io::{self, Write};

use super::printable::is_printable;

/// Passes on what is printable, newlines and tabs, and escapes the rest. `flush` ends the text.
pub struct TerminalSafe<W> {
    to: W,
    /// The beginning of a character whose end has not come yet: 3 bytes at most.
    begun: Vec<u8>,
}

impl<W: Write> TerminalSafe<W> {
    /// In front of `to`.
    pub fn new(to: W) -> Self {
        Self { to, begun: Vec::new() }
    }

    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                if is_printable(character) || matches!(character, '\n' | '\t') {
                    write!(self.to, "{character}")?;
                } else {
                    write!(self.to, "{}", character.escape_default())?;
                }
            }
            for byte in chunk.invalid() {
                write!(self.to, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl<W: Write> Write for TerminalSafe<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut bytes = std::mem::take(&mut self.begun);
        bytes.extend_from_slice(buf);
        let whole = match str::from_utf8(&bytes) {
            Ok(_) => bytes.len(),
            // What a character needs more than the buffer holds is no error yet; anything else is passed on escaped.
            Err(_) => bytes.len() - unfinished(&bytes),
        };
        let (now, later) = bytes.split_at(whole);
        self.pass(now)?;
        self.begun = later.to_vec();
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.begun);
        self.pass(&rest)?;
        self.to.flush()
    }
}

/// Bytes at the end that begin a character and do not end it.
fn unfinished(bytes: &[u8]) -> usize {
    (1..=3_usize.min(bytes.len()))
        .find(|back| {
            let tail = bytes.get(bytes.len() - back..).unwrap_or_default();
            matches!(str::from_utf8(tail), Err(error) if error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_shown_and_text_is_passed_on_however_it_is_cut() {
        let text = "a\x1b]0;title\x07\u{65e5}\u{672c}\t\u{1f600}\r\n\u{9b}".as_bytes();
        let text = [text, b"\xf0\x9f"].concat();
        let shown = "a\\u{1b}]0;title\\u{7}\u{65e5}\u{672c}\t\u{1f600}\\r\n\\u{9b}\\xf0\\x9f";
        for size in 1..text.len() {
            let mut seen = Vec::new();
            let mut safe = TerminalSafe::new(&mut seen);
            text.chunks(size).for_each(|chunk| safe.write_all(chunk).unwrap());
            safe.flush().unwrap();
            assert_eq!(String::from_utf8(seen).unwrap(), shown, "in pieces of {size}");
        }
    }
}
