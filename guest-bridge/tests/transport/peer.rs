//! A peer that does what it is told.

use std::time::Duration;

use guest_bridge::agent::{Agent, AgentError, Endpoint, QgaTransport, Request};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::UnixListener,
    task::JoinHandle,
};

/// Long enough for an answer that comes.
pub const PLENTY: Duration = Duration::from_secs(30);
/// Long enough to send and not be answered.
pub const SHORT: Duration = Duration::from_millis(300);

/// What a reply may have that has little to say.
pub const SHORT_BYTES: usize = 64 << 10;
/// What the sockets hold between the two, and what is read at once.
const IN_FLIGHT_BYTES: usize = 1 << 20;

pub const ONE: &[u8] = b"{\"return\": 1}\n";
pub const TWO: &[u8] = b"{\"return\": 2}\n";

/// What the peer does next on a connection.
pub enum Step {
    /// Reads a synchronisation and answers it.
    Sync,
    /// Reads a synchronisation, sends this, and then the answer.
    SyncAfter(&'static [u8]),
    /// Reads a line, which must execute this.
    Expect(&'static str),
    /// Sends this.
    Send(&'static [u8]),
    /// Returns this.
    Return(Value),
    /// Lets time pass in which nothing is sent.
    Pause,
    /// Sends a line without an end until the client goes away, 2 GiB at most.
    SendEndlessly,
    /// Reads until the client goes away.
    UntilHangup,
}
pub use Step::{Expect, Pause, Return, Send, SendEndlessly, Sync, SyncAfter, UntilHangup};

/// The other end of a transport, following a script.
pub struct Peer {
    pub agent: QgaTransport,
    script: JoinHandle<u64>,
    _dir: TempDir,
}

impl Peer {
    /// Serves one connection after the other.
    pub fn that_does(connections: Vec<Vec<Step>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qga.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let script = tokio::spawn(async move {
            let mut endless_bytes = 0;
            for steps in connections {
                endless_bytes += play(listener.accept().await.unwrap().0, steps).await;
            }
            endless_bytes
        });
        Self { agent: QgaTransport::new(Endpoint::Unix(path)), script, _dir: dir }
    }

    pub async fn call(&mut self, command: &'static str, deadline: Duration) -> Result<Value, AgentError> {
        self.agent.call(request(command), deadline).await
    }

    /// The script was played to its end, and of its endless line no more was taken than `limit_bytes`, and what was on its
    /// way.
    pub async fn took_no_more_than(self, limit_bytes: usize) {
        let taken_bytes = self.ended().await;
        assert!(taken_bytes < (limit_bytes + IN_FLIGHT_BYTES) as u64, "{taken_bytes} bytes were read");
    }

    /// The script was played to its end. How much of an endless line was taken.
    pub async fn ended(self) -> u64 {
        drop(self.agent);
        tokio::time::timeout(PLENTY, self.script).await.expect("a part of the script was left over").unwrap()
    }
}

/// A command without arguments that has a short reply.
pub fn request(command: &'static str) -> Request {
    Request { command, arguments: json!({}), reply_max_bytes: SHORT_BYTES }
}

/// Plays one connection. How much of an endless line was taken.
pub async fn play(stream: impl AsyncRead + AsyncWrite + Unpin, steps: Vec<Step>) -> u64 {
    let mut stream = BufReader::new(stream);
    let mut endless_bytes = 0;
    for step in steps {
        match step {
            Sync => sync(&mut stream, b"").await,
            SyncAfter(noise) => sync(&mut stream, noise).await,
            Expect(command) => {
                let mut text = String::new();
                stream.read_line(&mut text).await.unwrap();
                let request: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
                assert_eq!(request["execute"], command);
            }
            Send(bytes) => stream.write_all(bytes).await.unwrap(),
            Return(value) => {
                let line = json!({ "return": value }).to_string() + "\n";
                stream.write_all(line.as_bytes()).await.unwrap();
            }
            Pause => tokio::time::sleep(SHORT).await,
            SendEndlessly => {
                let chunk = vec![b'x'; 64 << 10];
                while endless_bytes < 2 << 30 && stream.write_all(&chunk).await.is_ok() {
                    endless_bytes += chunk.len() as u64;
                }
            }
            UntilHangup => while stream.read_until(b'\n', &mut Vec::new()).await.is_ok_and(|n| n > 0) {},
        }
    }
    endless_bytes
}

async fn sync(stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>, noise: &[u8]) {
    let mut request = Vec::new();
    stream.read_until(b'\n', &mut request).await.unwrap();
    assert_eq!(request.remove(0), 0xFF, "the mark that ends a half request of an earlier client");
    let request: Value = serde_json::from_slice(&request).unwrap();
    assert_eq!(request["execute"], "guest-sync-delimited");
    let answer = json!({ "return": request["arguments"]["id"] }).to_string();
    stream.write_all(&[noise, b"\xFF", answer.as_bytes(), b"\n"].concat()).await.unwrap();
}
