//! One line of an agent, read as the reply to a command.

use serde::Deserialize;
use serde_json::Value;

use super::{AgentError, error::guest_text};

/// What a reply may hold of `,`, `[` and `{`. Parsed, each can cost some hundred bytes where it was sent as one, and
/// no agent needs as many: what is long in a long reply is base64, which has none of them.
const MARKS_MAX: usize = 1 << 17;

/// The reply to one command, as `docs/interop/qmp-spec` has it. The agent sends no events.
#[derive(Deserialize)]
struct Reply {
    #[serde(rename = "return")]
    value: Option<Value>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    class: String,
    desc: String,
}

/// The `return` value of a reply, or the agent's error.
pub(super) fn parse(command: &str, line: &[u8]) -> Result<Value, AgentError> {
    let marks = line.iter().filter(|&byte| matches!(byte, b',' | b'[' | b'{')).count();
    if marks > MARKS_MAX {
        return Err(AgentError::unexpected(command, format!("{marks} values in {} bytes", line.len())));
    }
    let beginning = || String::from_utf8_lossy(line.get(..80).unwrap_or(line)).into_owned();
    let reply: Reply = serde_json::from_slice(line)
        .map_err(|error| AgentError::unexpected(command, format!("{error}, in: {}", beginning())))?;
    match reply {
        Reply { value: Some(value), error: None } => Ok(value),
        Reply { value: None, error: Some(Failure { class, desc }) } => Err(refusal(command, &class, &desc)),
        _ => Err(AgentError::unexpected(command, format!("neither a return nor an error: {}", beginning()))),
    }
}

/// An error that the agent itself reports. There is no class of its own for "frozen"; agents before 3.0 have none for
/// "disabled" either.
pub(super) fn refusal(command: &str, class: &str, desc: &str) -> AgentError {
    let (command, class, desc) = (command.to_owned(), guest_text(class), guest_text(desc));
    let disabled = class == "CommandNotFound" || desc.contains("has been disabled");
    if disabled && desc.contains("frozen") {
        AgentError::Frozen { command, desc }
    } else if disabled {
        AgentError::Unavailable { command, desc }
    } else {
        AgentError::Failed { command, class, desc }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_blocked_is_told_from_one_that_must_wait_for_a_thaw() {
        let frozen = "Command guest-exec has been disabled: the agent is in frozen state";
        assert!(matches!(refusal("guest-exec", "CommandNotFound", frozen), AgentError::Frozen { .. }));
        let blocked = "Command guest-exec has been disabled: the command is not allowed";
        assert!(matches!(refusal("guest-exec", "CommandNotFound", blocked), AgentError::Unavailable { .. }));
        let old = "The command guest-exec has been disabled for this instance";
        assert!(matches!(refusal("guest-exec", "GenericError", old), AgentError::Unavailable { .. }));
        let other = "Failed to execute child process";
        assert!(matches!(refusal("guest-exec", "GenericError", other), AgentError::Failed { .. }));
    }

    #[test]
    fn a_reply_that_would_explode_in_memory_is_refused_unparsed() {
        let line = format!("{{\"return\": [{}0]}}", "[],".repeat(100_000));
        let error = parse("guest-info", line.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("200002 values in 300015 bytes"), "{error}");
    }

    #[test]
    fn a_reply_needs_a_return_or_an_error() {
        for line in ["{}", "[]", "7", "{\"return\": {}, \"error\": {\"class\": \"a\", \"desc\": \"b\"}}", "\u{1b}[2J"] {
            let error = parse("guest-ping", line.as_bytes()).unwrap_err();
            assert!(matches!(error, AgentError::Protocol { .. }), "{line}: {error}");
            assert!(!error.to_string().contains('\u{1b}'), "an escape sequence of the guest's reached the message");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        let line = format!("{{\"return\": {}", "[".repeat(100_000));
        assert!(matches!(parse("guest-info", line.as_bytes()), Err(AgentError::Protocol { .. })));
    }
}
