//! One opened connection to an agent: bytes, lines and resynchronisation.

use std::io;

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_vsock::{VsockAddr, VsockStream};

use super::Endpoint;

/// No UTF-8 text holds this byte. Sent, it makes the agent drop a half request of whoever was here before; received,
/// it marks where the answer to `guest-sync-delimited` begins.
const SYNC_MARK: u8 = 0xFF;
/// An answer to `guest-sync-delimited` is shorter.
const SYNC_ANSWER_MAX_BYTES: usize = 256;
/// How QEMU's own control socket begins its greeting.
const QMP_GREETING: &[u8] = b"{\"QMP\"";
const CHUNK_BYTES: usize = 64 << 10;

trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// An opened connection.
pub(super) struct Channel {
    stream: Box<dyn Duplex>,
    /// Whether the peer has sent more than it was asked for.
    overrun: bool,
}

/// Why no line could be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChannelError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("longer than the limit")]
    TooLong,
    #[error("the greeting of QMP")]
    Qmp,
}

impl Channel {
    /// Opens the connection. Nothing is sent.
    pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        let stream: Box<dyn Duplex> = match endpoint {
            Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Endpoint::Vsock { cid, port } => Box::new(VsockStream::connect(VsockAddr::new(*cid, *port)).await?),
        };
        Ok(Self { stream, overrun: false })
    }

    /// `guest-sync-delimited`: afterwards, nothing that was sent or asked before can be read from this connection.
    ///
    /// Whatever arrives before the answer is discarded without being stored, be it replies to a former client, half
    /// lines, or the agent's complaint about the mark.
    pub(super) async fn sync(&mut self, id: u64) -> Result<(), ChannelError> {
        let request = json!({"execute": "guest-sync-delimited", "arguments": {"id": id}}).to_string();
        self.stream.write_all(&[&[SYNC_MARK], request.as_bytes(), b"\n"].concat()).await?;
        self.stream.flush().await?;

        let mut chunk = vec![0; CHUNK_BYTES];
        let mut greeting: Vec<u8> = Vec::new();
        let mut answer: Option<Vec<u8>> = None;
        loop {
            let received = self.read(&mut chunk).await?;
            greeting.extend(received.iter().take(QMP_GREETING.len() - greeting.len()));
            if greeting == QMP_GREETING {
                return Err(ChannelError::Qmp);
            }
            for (i, &byte) in received.iter().enumerate() {
                match byte {
                    SYNC_MARK => answer = Some(Vec::new()),
                    b'\n' => {
                        if answer.take().is_some_and(|text| answers(&text, id)) {
                            self.overrun = i + 1 < received.len();
                            return Ok(());
                        }
                    }
                    _ => match &mut answer {
                        Some(text) if text.len() < SYNC_ANSWER_MAX_BYTES => text.push(byte),
                        _ => answer = None,
                    },
                }
            }
        }
    }

    /// Sends a line and returns the next one that comes, without its newline.
    pub(super) async fn exchange(&mut self, request: &str, reply_max_bytes: usize) -> Result<Vec<u8>, ChannelError> {
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.write_all(b"\n").await?;
        self.stream.flush().await?;

        let mut line = Vec::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let received = self.read(&mut chunk).await?;
            let end = received.iter().position(|&byte| byte == b'\n');
            let more = received.get(..end.unwrap_or(received.len())).unwrap_or_default();
            if more.len() > reply_max_bytes - line.len() {
                return Err(ChannelError::TooLong);
            }
            line.extend_from_slice(more);
            if let Some(end) = end {
                self.overrun = end + 1 < received.len();
                return Ok(line);
            }
        }
    }

    /// The connection, if it is still open and nothing unasked has arrived on it.
    pub(super) fn if_quiet(mut self) -> Option<Self> {
        // A read that would have to wait is the only good answer: bytes, the end and errors all come at once.
        let quiet = !self.overrun && self.stream.read(&mut [0]).now_or_never().is_none();
        quiet.then_some(self)
    }

    async fn read<'c>(&mut self, chunk: &'c mut [u8]) -> io::Result<&'c [u8]> {
        match self.stream.read(chunk).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the agent's side was closed")),
            n => Ok(chunk.get(..n).unwrap_or_default()),
        }
    }
}

fn answers(text: &[u8], id: u64) -> bool {
    serde_json::from_slice::<Value>(text).is_ok_and(|answer| answer.get("return").and_then(Value::as_u64) == Some(id))
}
