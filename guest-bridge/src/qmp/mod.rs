//! QEMU's control socket: commands, their answers, and events. Only what is needed to plug a port into a running VM and to take it out again.
//!
//! Specified in QEMU's `docs/interop/qmp-spec` and `qemu-qmp-ref`.

mod error;
mod lines;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::{
    net::UnixStream,
    time::{Instant, timeout_at},
};

use crate::agent::guest_text;
pub use error::QmpError;
use lines::Lines;

/// A connection to QEMU. It serves one client at a socket: as long as this lives, nobody else is answered there.
pub struct Qmp {
    lines: Lines,
    commands: u64,
    /// The last that came, the oldest first.
    events: VecDeque<Event>,
}

/// Something that QEMU tells by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Such as `DEVICE_DELETED`.
    pub name: String,
    /// What it is about.
    pub data: Value,
}

/// A guest that opens and closes a port makes events without end.
const EVENTS_MAX: usize = 256;

impl Qmp {
    /// Connects, and negotiates as the protocol asks for.
    ///
    /// # Errors
    /// See [`QmpError`]; [`QmpError::NoGreeting`] where another client is served.
    pub async fn connect(path: &Path, deadline: Duration) -> Result<Self, QmpError> {
        let end = Instant::now() + deadline;
        let stream =
            UnixStream::connect(path).await.map_err(|source| QmpError::Connect { path: path.to_owned(), source })?;
        let mut qmp = Self { lines: Lines::new(stream), commands: 0, events: VecDeque::new() };
        let greeting = match timeout_at(end, qmp.lines.next()).await {
            Ok(Ok(line)) => line,
            Ok(Err(source)) => return Err(QmpError::Connect { path: path.to_owned(), source }),
            Err(_) => return Err(QmpError::NoGreeting { path: path.to_owned(), waited_ms: millis(deadline) }),
        };
        let is_greeting = serde_json::from_slice::<Value>(&greeting).is_ok_and(|value| value.get("QMP").is_some());
        if !is_greeting {
            let detail = guest_text(&String::from_utf8_lossy(&greeting));
            return Err(QmpError::NotQmp { path: path.to_owned(), detail });
        }
        qmp.execute("qmp_capabilities", json!({}), end.saturating_duration_since(Instant::now())).await?;
        Ok(qmp)
    }

    /// Sends a command and gives what it returns. A call that is dropped or late may have been carried out; its answer is not taken for that
    /// of a later one.
    ///
    /// # Errors
    /// See [`QmpError`]; [`QmpError::Refused`] with QEMU's words.
    pub async fn execute(&mut self, command: &str, arguments: Value, deadline: Duration) -> Result<Value, QmpError> {
        self.commands += 1;
        let id = self.commands;
        let mut line = json!({ "execute": command, "arguments": arguments, "id": id }).to_string().into_bytes();
        line.push(b'\n');
        let answered = async {
            self.lines.write(&line).await.map_err(|source| QmpError::Lost { waits_for: command.to_owned(), source })?;
            loop {
                let mut answer = self.line(command).await?;
                if answer.get("id").and_then(Value::as_u64) != Some(id) {
                    continue;
                }
                if let Some(error) = answer.get("error") {
                    let text = |field: &str| guest_text(error.get(field).and_then(Value::as_str).unwrap_or_default());
                    let (class, desc) = (text("class"), text("desc"));
                    return Err(QmpError::Refused { command: command.to_owned(), class, desc });
                }
                return answer.get_mut("return").map(Value::take).ok_or_else(|| unexpected(command, &answer));
            }
        };
        in_time(command, deadline, answered).await
    }

    /// Waits for an event, also one that came before and was not asked for yet.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub async fn event(
        &mut self,
        name: &str,
        is_it: impl Fn(&Value) -> bool,
        deadline: Duration,
    ) -> Result<Event, QmpError> {
        let seen = async {
            loop {
                let found = self.events.iter().position(|event| event.name == name && is_it(&event.data));
                if let Some(event) = found.and_then(|index| self.events.remove(index)) {
                    return Ok(event);
                }
                // An answer to a command that was given up.
                self.line(name).await?;
            }
        };
        in_time(name, deadline, seen).await
    }

    /// The next line. Where it is an event, it is kept, too.
    async fn line(&mut self, waits_for: &str) -> Result<Value, QmpError> {
        let line =
            self.lines.next().await.map_err(|source| QmpError::Lost { waits_for: waits_for.to_owned(), source })?;
        let value: Value = serde_json::from_slice(&line)
            .map_err(|_| unexpected(waits_for, &Value::String(String::from_utf8_lossy(&line).into_owned())))?;
        if let Some(name) = value.get("event").and_then(Value::as_str) {
            if self.events.len() == EVENTS_MAX {
                self.events.pop_front();
            }
            let data = value.get("data").cloned().unwrap_or_default();
            self.events.push_back(Event { name: name.to_owned(), data });
        }
        Ok(value)
    }
}

async fn in_time<T>(
    waits_for: &str,
    deadline: Duration,
    answered: impl Future<Output = Result<T, QmpError>>,
) -> Result<T, QmpError> {
    let late = || QmpError::Timeout { waits_for: waits_for.to_owned(), waited_ms: millis(deadline) };
    tokio::time::timeout(deadline, answered).await.unwrap_or_else(|_| Err(late()))
}

fn unexpected(waits_for: &str, came: &Value) -> QmpError {
    QmpError::Unexpected { waits_for: waits_for.to_owned(), detail: guest_text(&came.to_string()) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
