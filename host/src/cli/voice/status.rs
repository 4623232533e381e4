//! What goes on now, below the lines that tell what was.

use crate::show::copying::Copying;
use crate::show::wrap::fitting;

/// What goes on now.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// A copy.
    Copy(Copying),
    /// Anything else.
    Text(String),
}

impl Status {
    /// The line that tells it, in `columns` at the most.
    #[must_use]
    pub fn drawn(&self, columns: usize) -> String {
        match self {
            Self::Copy(copying) => copying.bar(columns),
            Self::Text(text) => fitting(format!("{text} ...").chars(), columns),
        }
    }
}
