//! Disarming.

use std::time::Duration;

use super::{Token, WatchdogError, script::ask};
use crate::agent::Agent;

/// What a watchdog had done when it was disarmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Disarmed {
    /// Nothing, and it is gone.
    InTime,
    /// It thaws, or has thawed: what was frozen may have been written to since. It is gone.
    HasThawed,
    /// Nobody is there, and what it did is not known: it was never armed, or the guest has been started anew. None of this name can be armed
    /// any more.
    NotThere,
}

/// Ends the watchdog, for good. Asked again, it says the same, until the guest is started anew.
///
/// A frozen agent runs no programs ([`AgentError::Frozen`](crate::agent::AgentError::Frozen)): this comes after the thaw.
///
/// # Errors
/// See [`WatchdogError`]. It may still be armed then.
pub async fn disarm(agent: &mut dyn Agent, token: &Token, deadline: Duration) -> Result<Disarmed, WatchdogError> {
    let lines = ask(agent, "disarm", &[token.as_str()], deadline).await?;
    match lines.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["in-time"] => Ok(Disarmed::InTime),
        ["has-thawed"] => Ok(Disarmed::HasThawed),
        ["not-there"] => Ok(Disarmed::NotThere),
        _ => Err(WatchdogError::answer("this is no answer of a watchdog", &lines.join(" "))),
    }
}
