//! Why a structure could not be used.

use std::fmt::Display;

use crate::{Finding, ProbeError};

/// The medium failed, or what it holds is not right.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The read failed: nothing is known about what is there.
    #[error(transparent)]
    Io(ProbeError),
    /// It was read, and is wrong (or beyond what is understood: see the finding's severity).
    #[error("{}: {} ({})", .0.place, .0.detail, .0.code)]
    Bad(Finding),
}

impl Fault {
    /// Damage seen at `place`.
    pub(super) fn damage(code: &'static str, place: impl Display, detail: impl Into<String>) -> Self {
        Self::Bad(Finding::damage(code, place.to_string(), detail))
    }

    /// Something at `place` that keeps from judging.
    pub(super) fn unknown(code: &'static str, place: impl Display, detail: impl Into<String>) -> Self {
        Self::Bad(Finding::unknown(code, place.to_string(), detail))
    }

    /// The finding, where there is one; a failed read is passed up.
    pub(super) fn finding(self) -> Result<Finding, ProbeError> {
        match self {
            Self::Io(error) => Err(error),
            Self::Bad(finding) => Ok(finding),
        }
    }
}

impl From<ProbeError> for Fault {
    fn from(error: ProbeError) -> Self {
        Self::Io(error)
    }
}
