//! A small blocking client of the QEMU guest agent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest reply taken from an agent: its own limit for captured output is 16 MiB a stream, in base64.
const MAX_REPLY_BYTES: u64 = 64 << 20;

/// An agent's socket. Each call opens it, resynchronises and closes it again, for qemu-ga serves one client at a time.
#[derive(Debug, Clone)]
pub struct Agent {
    socket: PathBuf,
    deadline: Duration,
}

impl Agent {
    /// The agent behind the unix socket `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), deadline: Duration::from_secs(300) }
    }

    /// The same agent, each call of which may take `deadline`.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs one command and gives its `return` value.
    ///
    /// # Errors
    /// No connection, no reply in time, or the agent's own error, in its words.
    pub fn call(&self, command: &str, arguments: Value) -> io::Result<Value> {
        let end = Instant::now() + self.deadline;
        let stream = UnixStream::connect(&self.socket)?;
        let mut replies = BufReader::new(&stream);

        // 0xFF makes the agent drop what an earlier client left half said; its reply begins with 0xFF likewise.
        let id = u64::from(std::process::id()) << 20 | u64::from(Instant::now().elapsed().subsec_nanos() & 0xfffff);
        send(&stream, b"\xff", &json!({"execute": "guest-sync-delimited", "arguments": {"id": id}}))?;
        loop {
            set_deadline(&stream, end)?;
            let mut skipped = Vec::new();
            (&mut replies).take(MAX_REPLY_BYTES).read_until(0xff, &mut skipped)?;
            if skipped.last() != Some(&0xff) {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the agent hung up before it was in step"));
            }
            if read_reply(&mut replies, &stream, end)?["return"] == id {
                break;
            }
        }

        send(&stream, b"", &json!({"execute": command, "arguments": arguments}))?;
        let mut reply = read_reply(&mut replies, &stream, end)?;
        match reply.get("error") {
            Some(error) => Err(io::Error::other(format!("{command}: {error}"))),
            None => Ok(reply["return"].take()),
        }
    }
}

fn send(mut stream: &UnixStream, before: &[u8], message: &Value) -> io::Result<()> {
    let mut line = before.to_vec();
    serde_json::to_writer(&mut line, message)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn read_reply(replies: &mut BufReader<&UnixStream>, stream: &UnixStream, end: Instant) -> io::Result<Value> {
    set_deadline(stream, end)?;
    let mut line = Vec::new();
    replies.take(MAX_REPLY_BYTES).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}

fn set_deadline(stream: &UnixStream, end: Instant) -> io::Result<()> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "no reply from the agent in time"));
    }
    stream.set_read_timeout(Some(left))
}
