//! What it means for a run that the guest does not tell where things lie.

use guest_bridge::places::PlacesError;

use super::agent;
use super::cause::Cause;
use super::kind::Kind;

impl From<PlacesError> for Cause {
    fn from(error: PlacesError) -> Self {
        let kind = match &error {
            PlacesError::Agent(error) => agent::kind(error),
            PlacesError::Path { .. } | PlacesError::TooMany { .. } => Kind::Refused,
            PlacesError::Script { .. } => Kind::GuestProgram,
            PlacesError::Unexpected { .. } => Kind::AgentAnswer,
        };
        Self::of(kind, error.hint().map(str::to_owned), error)
    }
}
