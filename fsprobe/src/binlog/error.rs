//! Why a binary log says nothing.

use crate::ProbeError;

/// Why a file cannot be read as a binary log.
#[derive(Debug, thiserror::Error)]
pub enum BinlogError {
    /// It does not begin as a binary log does.
    #[error("it is no binary log: it does not begin with fe 62 69 6e")]
    NotABinlog,
    /// Only the server has the key.
    #[error("it is an encrypted binary log: only the server has the key")]
    Encrypted,
    /// Its first event, which says how the others are to be read, is not there as a whole.
    #[error("it is a binary log without a whole first event, which would say how to read it: {0}")]
    NoDescription(&'static str),
    /// Another format than that of MySQL and MariaDB since 5.0.
    #[error("it is a binary log in a format that is not known here: {0}")]
    UnknownVersion(String),
    /// The medium refused to be read.
    #[error(transparent)]
    Io(#[from] ProbeError),
}
