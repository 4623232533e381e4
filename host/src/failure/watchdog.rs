//! What it means for a run that no watchdog can be armed in the guest.

use guest_bridge::watchdog::WatchdogError;

use super::agent;
use super::cause::Cause;
use super::kind::Kind;

impl From<WatchdogError> for Cause {
    fn from(error: WatchdogError) -> Self {
        let kind = match &error {
            WatchdogError::Agent(error) => agent::kind(error),
            WatchdogError::Unexpected { .. } => Kind::AgentAnswer,
            _ => Kind::GuestProgram,
        };
        Self::of(kind, error.hint().map(str::to_owned), error)
    }
}
