//! Why a redo log says nothing.

use crate::ProbeError;

/// Why a file cannot be read as a redo log.
#[derive(Debug, thiserror::Error)]
pub enum RedoError {
    /// It is not one of MariaDB since 10.8: MySQL's and those before have other formats.
    #[error("it is no redo log of MariaDB 10.8 or later: {0}")]
    NotThisFormat(String),
    /// Only the server has the key.
    #[error("it is an encrypted redo log: only the server has the key")]
    Encrypted,
    /// The server would not start with it.
    #[error("the redo log is damaged: {0}")]
    Bad(String),
    /// The medium refused to be read.
    #[error(transparent)]
    Io(#[from] ProbeError),
}
