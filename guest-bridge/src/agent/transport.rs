//! The real peer: an agent behind a socket.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    Agent, AgentError, BoxFuture, Endpoint, Request,
    channel::{Channel, ChannelError},
    millis, reply,
};

/// A longer deadline is cut to this: a clock cannot hold them all.
const DEADLINE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Commands to an agent over its socket, one at a time.
///
/// A connection begins with 0xFF and `guest-sync-delimited` with a random id, and is kept only after a call that ended
/// with a whole reply. A call takes the connection out of the transport and puts it back at its end, so that whatever
/// interrupts it (an error, the deadline, the caller dropping the future) leaves none, and the next call opens another.
///
/// QGA requests carry no `id` here: agents before QEMU 3.0 refuse it, and the synchronisation already makes sure that
/// the next line is the reply to the last request.
pub struct QgaTransport {
    endpoint: Endpoint,
    channel: Option<Channel>,
}

impl QgaTransport {
    /// A transport that will connect with its first call.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, channel: None }
    }

    /// Where the agent listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn open(&self, command: &str, start: Instant, end: Instant) -> Result<Channel, AgentError> {
        let endpoint = self.endpoint.clone();
        tracing::debug!(%endpoint, command, "opening the agent's channel");
        let mut channel = match timeout_at(end, Channel::connect(&endpoint)).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(source)) => return Err(AgentError::Connect { endpoint, source }),
            Err(_) => {
                let text = format!("no answer within {} ms", millis(start.elapsed()));
                let source = std::io::Error::new(std::io::ErrorKind::TimedOut, text);
                return Err(AgentError::Connect { endpoint, source });
            }
        };
        let command = command.to_owned();
        // Below 2^53, which every JSON reader takes for an exact integer.
        match timeout_at(end, channel.sync(rand::random::<u64>() >> 11)).await {
            Ok(Ok(())) => Ok(channel),
            Ok(Err(ChannelError::Qmp)) => Err(AgentError::QmpSocket { endpoint, command }),
            Ok(Err(ChannelError::Io(source))) => Err(AgentError::SyncLost { endpoint, command, source }),
            Ok(Err(ChannelError::TooLong)) | Err(_) => {
                Err(AgentError::NoSync { endpoint, command, waited_ms: millis(start.elapsed()) })
            }
        }
    }

    async fn exchange(&mut self, request: Request, deadline: Duration) -> Result<Value, AgentError> {
        let Request { command, arguments, reply_max_bytes } = request;
        let start = Instant::now();
        let end = start + deadline.min(DEADLINE_MAX);
        let mut channel = match self.channel.take().and_then(Channel::if_quiet) {
            Some(kept) => kept,
            None => self.open(command, start, end).await?,
        };
        let request = match arguments {
            Value::Null => json!({ "execute": command }),
            arguments => json!({ "execute": command, "arguments": arguments }),
        };
        let line = match timeout_at(end, channel.exchange(&request.to_string(), reply_max_bytes)).await {
            Ok(Ok(line)) => line,
            Ok(Err(ChannelError::Io(source))) => return Err(AgentError::Lost { command: command.to_owned(), source }),
            Ok(Err(ChannelError::TooLong | ChannelError::Qmp)) => {
                return Err(AgentError::ReplyTooLong { command: command.to_owned(), limit_bytes: reply_max_bytes });
            }
            Err(_) => {
                let waited_ms = millis(start.elapsed());
                return Err(AgentError::Timeout { command: command.to_owned(), waited_ms });
            }
        };
        let result = reply::parse(command, &line);
        if !matches!(result, Err(AgentError::Protocol { .. })) {
            self.channel = Some(channel);
        }
        result
    }
}

impl Agent for QgaTransport {
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        Box::pin(self.exchange(request, deadline))
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.channel = None;
        Box::pin(std::future::ready(()))
    }
}
