//! Regular files of the guest. Never a FIFO: on a short read the agent loses what it had read.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use qapi::qga::{guest_file_close, guest_file_open, guest_file_read};
use serde::{Deserialize, de::IgnoredAny};
use tokio::time::Instant;

use super::request::{SHORT_REPLY_MAX_BYTES, ask, base64_reply_max_bytes};
use super::{Agent, AgentError};

/// What one [`file_read`] may ask for: reads are fastest from 64 KiB to 1 MiB.
pub const READ_COUNT_MAX_BYTES: usize = 1 << 20;

/// A file that the agent has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHandle(i64);

/// `guest-file-open`, for reading.
///
/// # Errors
/// See [`AgentError`].
pub async fn file_open(agent: &mut dyn Agent, path: &str, deadline: Duration) -> Result<FileHandle, AgentError> {
    let command = guest_file_open { path: path.to_owned(), mode: Some("r".into()) };
    ask(agent, &command, SHORT_REPLY_MAX_BYTES, deadline).await.map(FileHandle)
}

/// `guest-file-read`: the next bytes, at most `count` and at most [`READ_COUNT_MAX_BYTES`]; empty at the end.
///
/// # Errors
/// See [`AgentError`].
pub async fn file_read(
    agent: &mut dyn Agent,
    file: FileHandle,
    count: usize,
    deadline: Duration,
) -> Result<Vec<u8>, AgentError> {
    #[derive(Deserialize)]
    struct Read {
        #[serde(rename = "buf-b64")]
        buf_b64: String,
    }
    let count = count.min(READ_COUNT_MAX_BYTES);
    let command = guest_file_read { handle: file.0, count: Some(count as i64) };
    let Read { buf_b64 } = ask(agent, &command, base64_reply_max_bytes(count), deadline).await?;
    let bytes = BASE64_STANDARD
        .decode(buf_b64)
        .map_err(|error| AgentError::unexpected("guest-file-read", format!("buf-b64 is no base64: {error}")))?;
    if bytes.len() > count {
        return Err(AgentError::unexpected("guest-file-read", format!("{} bytes for {count}", bytes.len())));
    }
    Ok(bytes)
}

/// `guest-file-close`.
///
/// # Errors
/// See [`AgentError`].
pub async fn file_close(agent: &mut dyn Agent, file: FileHandle, deadline: Duration) -> Result<(), AgentError> {
    ask::<_, IgnoredAny>(agent, &guest_file_close { handle: file.0 }, SHORT_REPLY_MAX_BYTES, deadline).await.map(drop)
}

/// The whole of a regular file, of `limit_bytes` at most.
///
/// # Errors
/// See [`AgentError`]; [`AgentError::FileTooLong`] if there is more.
pub async fn read_file(
    agent: &mut dyn Agent,
    path: &str,
    limit_bytes: usize,
    deadline: Duration,
) -> Result<Vec<u8>, AgentError> {
    let start = Instant::now();
    let left = || deadline.saturating_sub(start.elapsed());
    let file = file_open(agent, path, deadline).await?;
    let read = read_open(agent, file, path, limit_bytes, &left).await;
    let closed = file_close(agent, file, left()).await;
    let bytes = read?;
    closed.map(|()| bytes)
}

async fn read_open(
    agent: &mut dyn Agent,
    file: FileHandle,
    path: &str,
    limit_bytes: usize,
    left: &(dyn Fn() -> Duration + Sync),
) -> Result<Vec<u8>, AgentError> {
    let mut bytes = Vec::new();
    loop {
        let more = file_read(agent, file, READ_COUNT_MAX_BYTES, left()).await?;
        if more.is_empty() {
            return Ok(bytes);
        }
        if more.len() > limit_bytes.saturating_sub(bytes.len()) {
            return Err(AgentError::FileTooLong { path: path.to_owned(), limit_bytes });
        }
        bytes.extend_from_slice(&more);
    }
}
