//! The exit codes: one contract for scripts, stated once.

use std::process::ExitCode;

/// What the exit code of a command says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, at the required grade.
    Done = 0,
    /// Failed; nothing usable was made.
    Failed = 1,
    /// The command line or the configuration asks for something that cannot be.
    Usage = 2,
    /// Done, but weaker than required. For `check`: sound only after a journal replay.
    Weaker = 3,
    /// Done by the dump instead of the image.
    Dumped = 4,
    /// Damage found.
    Damaged = 5,
    /// A guest may still be frozen, or something could not be undone: a person is needed now.
    NeedsPerson = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The exit code of which scripts have to hear: damage, then failure, then doubt.
#[must_use]
pub fn worse(one: Exit, other: Exit) -> Exit {
    let weight = |exit| match exit {
        Exit::Damaged => 3,
        Exit::Failed => 2,
        Exit::Weaker => 1,
        _ => 0,
    };
    if weight(other) > weight(one) { other } else { one }
}
