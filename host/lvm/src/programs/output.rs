//! What a program left behind.

use super::{Invocation, ProgramError};

/// The lines of stderr that an error shows.
const LAST_WORDS: usize = 8;

/// A program's exit code and what it wrote, each stream capped at [`Output::CAP_BYTES`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code.
    pub exit_code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// What is kept of each stream; the rest is read and thrown away, so that the program does not block.
    pub const CAP_BYTES: usize = 8 << 20;

    /// Itself where the exit code is 0, else [`ProgramError::Failed`].
    pub fn success(self, invocation: &Invocation) -> Result<Self, ProgramError> {
        match self.exit_code {
            0 => Ok(self),
            exit_code => {
                Err(ProgramError::Failed { command: invocation.to_string(), exit_code, said: self.last_words() })
            }
        }
    }

    /// The last lines of stderr, or of stdout where stderr is empty, as one line.
    #[must_use]
    pub fn last_words(&self) -> String {
        let stream = if self.stderr.iter().all(u8::is_ascii_whitespace) { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(stream);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default();
        if last.is_empty() { "(it said nothing)".to_owned() } else { last.join("; ") }
    }
}
