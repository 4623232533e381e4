//! The documents that others read: receipt, plan and check, as JSON. `docs/formats.md` describes them, `docs/schema/` has
//! them for machines. What the program works with has types of its own: these change by their contract alone.
//!
//! The run log's lines are [`run::entry`](crate::run::entry), a failure is [`failure::report`](crate::failure::report).

pub mod check;
pub mod clean;
pub mod diagnosis;
pub mod plan;
pub mod receipt;
pub mod recovery;
pub mod watch;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A document that names the version of its form.
pub trait Document: DeserializeOwned {
    /// What it is, for messages.
    const WHAT: &'static str;
    /// The version that this program writes.
    const FORMAT: u32;
}

/// A document that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON of this form.
    #[error("it is no {what}: {source}")]
    Form {
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// No program wrote such a version, or a later one did.
    #[error("it is a {what} of format {format}, and this program reads 1 to {known}")]
    Format {
        /// What it is.
        what: &'static str,
        /// Its version.
        format: u64,
        /// The newest that this program knows.
        known: u32,
    },
}

/// Reads a document of this format or an older one. Names that are not known are passed over.
///
/// # Errors
/// [`DocumentError`].
pub fn read<D: Document>(text: &[u8]) -> Result<D, DocumentError> {
    #[derive(Deserialize)]
    struct Format {
        format: Option<u64>,
    }
    let form = |source| DocumentError::Form { what: D::WHAT, source };
    let Format { format } = serde_json::from_slice(text).map_err(form)?;
    let format = format.unwrap_or_else(|| first_format().into());
    if !(1..=u64::from(D::FORMAT)).contains(&format) {
        return Err(DocumentError::Format { what: D::WHAT, format, known: D::FORMAT });
    }
    serde_json::from_slice(text).map_err(form)
}

/// Of documents that did not name it, once.
fn first_format() -> u32 {
    1
}
