//! What is asked of an agent.

use std::time::Duration;

use qapi::qga::QgaCommand;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Agent, AgentError};

/// The longest reply to a command that has little to say. The longest honest one is `guest-info`'s list of commands, of
/// 4 KiB.
pub(super) const SHORT_REPLY_MAX_BYTES: usize = 64 << 10;

/// One command to an agent. Its arguments may hold a secret, the input of a program: it cannot be printed.
#[derive(Clone)]
pub struct Request {
    /// Its name in QGA's schema.
    pub command: &'static str,
    /// Its arguments; `null` for none at all.
    pub arguments: Value,
    /// The longest reply that is read: the peer may be hostile, and no command's reply has room for another's.
    pub reply_max_bytes: usize,
}

/// Sends a command of qapi's and reads its reply, of `reply_max_bytes` at most, as a type of ours, or of qapi's where that
/// one holds.
pub(super) async fn ask<C: QgaCommand, R: DeserializeOwned>(
    agent: &mut dyn Agent,
    command: &C,
    reply_max_bytes: usize,
    deadline: Duration,
) -> Result<R, AgentError> {
    let arguments = serde_json::to_value(command)
        .map_err(|error| AgentError::Protocol { command: C::NAME.into(), detail: format!("cannot encode: {error}") })?;
    let reply = agent.call(Request { command: C::NAME, arguments, reply_max_bytes }, deadline).await?;
    serde_json::from_value(reply).map_err(|error| AgentError::unexpected(C::NAME, error))
}

/// The longest reply that carries `bytes` in base64.
pub(super) const fn base64_reply_max_bytes(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4 + SHORT_REPLY_MAX_BYTES
}
