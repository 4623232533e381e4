//! The guest's clock.

use std::time::Duration;

use qapi::qga::guest_get_time;

use super::request::{SHORT_REPLY_MAX_BYTES, ask};
use super::{Agent, AgentError};

/// `guest-get-time`: nanoseconds since 1970-01-01T00:00:00 UTC, by the guest's clock.
///
/// # Errors
/// See [`AgentError`].
pub async fn time(agent: &mut dyn Agent, deadline: Duration) -> Result<i64, AgentError> {
    ask(agent, &guest_get_time {}, SHORT_REPLY_MAX_BYTES, deadline).await
}
