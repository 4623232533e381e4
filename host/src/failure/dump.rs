//! What errors of a dump mean for a run, and what helps.

use std::borrow::Cow;

use guest_bridge::dump::{DumpError, NotWhole, Refusal};

use super::agent;
use super::cause::Cause;
use super::kind::Kind;

impl From<DumpError> for Cause {
    fn from(error: DumpError) -> Self {
        let kind = match &error {
            DumpError::Database(_) => {
                let DumpError::Database(error) = error else { return Self::of(Kind::Database, None, error) };
                return error.into();
            }
            DumpError::Agent { source, .. } => agent::kind(source),
            DumpError::Impossible { .. } => Kind::DumpImpossible,
            DumpError::StillThere { .. } => Kind::GuestProgram,
            _ => Kind::DumpNotWhole,
        };
        let hint = error.hint().map(Cow::into_owned);
        Self::of(kind, hint, error)
    }
}

impl From<NotWhole> for Cause {
    fn from(error: NotWhole) -> Self {
        Self::of(Kind::DumpNotWhole, error.hint().map(str::to_owned), error)
    }
}

impl From<Refusal> for Cause {
    fn from(error: Refusal) -> Self {
        Self::of(Kind::DumpImpossible, error.hint(), error)
    }
}
