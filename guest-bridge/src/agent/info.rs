//! What the agent is and which commands it offers.

use std::{collections::BTreeSet, time::Duration};

use qapi::qga::{GuestAgentInfo, guest_info, guest_ping};
use serde::de::IgnoredAny;

use super::request::{SHORT_REPLY_MAX_BYTES, ask};
use super::{Agent, AgentError, error::guest_text};

/// The agent's version and the commands that it executes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentInfo {
    /// As the agent says it, for example `7.2.22`; safe to print.
    pub version: String,
    /// The commands that are enabled now. A frozen agent enables six.
    pub supported: BTreeSet<String>,
}

impl AgentInfo {
    /// Whether the agent executes `command`.
    pub fn supports(&self, command: &str) -> bool {
        self.supported.contains(command)
    }

    /// Those of `needed` that the agent lacks or blocks.
    pub fn missing<'n>(&self, needed: &[&'n str]) -> Vec<&'n str> {
        needed.iter().copied().filter(|command| !self.supports(command)).collect()
    }
}

/// `guest-info`.
///
/// # Errors
/// See [`AgentError`].
pub async fn info(agent: &mut dyn Agent, deadline: Duration) -> Result<AgentInfo, AgentError> {
    let info: GuestAgentInfo = ask(agent, &guest_info {}, SHORT_REPLY_MAX_BYTES, deadline).await?;
    let supported = info.supported_commands.into_iter().filter(|command| command.enabled).map(|command| command.name);
    Ok(AgentInfo { version: guest_text(&info.version), supported: supported.collect() })
}

/// `guest-ping`: whether the agent answers.
///
/// # Errors
/// See [`AgentError`].
pub async fn ping(agent: &mut dyn Agent, deadline: Duration) -> Result<(), AgentError> {
    ask::<_, IgnoredAny>(agent, &guest_ping {}, SHORT_REPLY_MAX_BYTES, deadline).await.map(drop)
}
