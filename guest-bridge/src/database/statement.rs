//! SQL that a person is shown.

use std::fmt;

/// A statement as it may be shown: one line, 200 characters at most, control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement(String);

impl Statement {
    /// The most characters of a statement that are shown.
    pub const MAX_CHARS: usize = 200;

    /// Makes `text` fit to be shown.
    pub fn new(text: &str) -> Self {
        let mut shown = String::new();
        for (count, char) in text.trim().chars().enumerate() {
            if count == Self::MAX_CHARS {
                shown.push('…');
                break;
            }
            // Bidirectional overrides too: they would let a query repaint the line that quotes it.
            if char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                shown.extend(char.escape_default());
            } else {
                shown.push(char);
            }
        }
        Self(shown)
    }

    /// What is shown.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
