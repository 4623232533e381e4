//! What a step can die of: its kind, its words, and the error that it was.

use std::error::Error;
use std::fmt;

use super::kind::Kind;
use super::table::row;

/// Why a step failed.
///
/// Each error of this package turns into one beside its type; those of the packages below do here.
#[derive(Debug)]
pub struct Cause {
    /// What it is for scripts.
    pub kind: Kind,
    /// The disk that it is about, where the words do not say so themselves.
    disk: Option<String>,
    /// What happened, in a sentence, with the numbers.
    what: String,
    /// What helps in this very case.
    hint: Option<String>,
    /// The error that it was.
    error: Option<Box<dyn Error + Send + Sync>>,
}

impl Cause {
    /// A cause of `kind` in words: one sentence with the numbers, and what would help.
    pub fn new(kind: Kind, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, disk: None, what: what.into(), hint: Some(hint.into()), error: None }
    }

    /// A cause of `kind` in words, of which no more is known than that.
    pub fn plain(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, disk: None, what: what.into(), hint: None, error: None }
    }

    /// An error that is of `kind` here, with what helps in this very case.
    pub fn of(kind: Kind, hint: Option<String>, error: impl Error + Send + Sync + 'static) -> Self {
        Self { kind, disk: None, what: error.to_string(), hint, error: Some(Box::new(error)) }
    }

    /// The command line or the configuration asks for what cannot be.
    pub fn usage(what: impl Into<String>, hint: &'static str) -> Self {
        Self::new(Kind::Usage, what, hint)
    }

    /// Host, guest or database are in no state for it.
    pub fn refused(what: impl Into<String>, hint: &'static str) -> Self {
        Self::new(Kind::Refused, what, hint)
    }

    /// The same, said to be about this disk.
    #[must_use]
    pub fn on(mut self, disk: impl fmt::Display) -> Self {
        let disk = disk.to_string();
        if !self.what.contains(&disk) {
            self.disk = Some(disk);
        }
        self
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        self.hint.as_deref().unwrap_or(row(self.kind, false).hint)
    }

    /// The same, after something else had failed for which this was to be done.
    #[must_use]
    pub fn after(mut self, first: &Self) -> Self {
        self.what = format!("{first}; and what was to be done instead failed: {}", self.what);
        self
    }

    /// The error that it was, where it was an `E`.
    #[must_use]
    pub fn error<E: Error + 'static>(&self) -> Option<&E> {
        self.error.as_ref()?.downcast_ref()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(disk) = &self.disk {
            write!(f, "{disk}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.as_ref()?.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_without_a_hint_of_its_own_has_that_of_its_kind() {
        let error = std::io::Error::other("no");
        assert_eq!(Cause::of(Kind::Stopped, None, error).hint(), row(Kind::Stopped, false).hint);
        assert_eq!(Cause::usage("no target is named", "give --to").hint(), "give --to");
    }

    #[test]
    fn a_disk_is_named_once() {
        assert_eq!(Cause::refused("it is empty", "").on("vg/data").to_string(), "vg/data: it is empty");
        assert_eq!(Cause::refused("vg/data is empty", "").on("vg/data").to_string(), "vg/data is empty");
    }

    #[test]
    fn the_error_that_it_was_can_be_asked() {
        let cause = Cause::of(Kind::RunLog, None, std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert_eq!(cause.error::<std::io::Error>().unwrap().kind(), std::io::ErrorKind::StorageFull);
        assert!(cause.error::<fmt::Error>().is_none());
    }
}
