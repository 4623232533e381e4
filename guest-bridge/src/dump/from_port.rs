//! A dump as it comes through a port. The port has no end of file, so the stream has one of its own: behind the last byte comes the dump's
//! name, which nobody can guess. What the client made of it, the agent is asked.

use std::time::Duration;

use tokio::{
    io::AsyncReadExt,
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use super::{
    DumpError, DumpName,
    port::Port,
    way::{PIECE_MAX_BYTES, Piece, ask},
};
use crate::agent::SharedAgent;

/// How often the agent is asked, at least: the guest ends a dump that nobody asks for.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// Room for one read.
const READ_BYTES: usize = 256 << 10;
/// Between two questions when the end of the stream is there, and the word of it is not.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct FromPort {
    stream: UnixStream,
    mark: Vec<u8>,
    /// What came and may be the beginning of the mark.
    held: Vec<u8>,
    some_came: bool,
    asked_at: Option<Instant>,
}

impl FromPort {
    pub(super) fn new(port: Port, name: &DumpName) -> Self {
        let mark = name.as_str().as_bytes().to_vec();
        Self { stream: port.stream, mark, held: Vec::new(), some_came: false, asked_at: None }
    }

    /// What comes next, and with its end what the script says of the client.
    pub(super) async fn read(
        &mut self,
        agent: &SharedAgent,
        name: &DumpName,
        received_bytes: u64,
        progress: Duration,
    ) -> Result<Piece, DumpError> {
        let mut came_at = Instant::now();
        let no_progress = || DumpError::NoProgress {
            waited_ms: u64::try_from(progress.as_millis()).unwrap_or(u64::MAX),
            received_bytes,
        };
        let mut bytes = std::mem::take(&mut self.held);
        loop {
            let before = bytes.len();
            bytes.reserve(READ_BYTES);
            let most = PIECE_MAX_BYTES - before;
            match timeout(ASK_EVERY, (&mut self.stream).take(most as u64).read_buf(&mut bytes)).await {
                // QEMU has closed its socket: the port was taken out, or the VM has ended.
                Ok(Ok(0) | Err(_)) => return Err(DumpError::Gone { received_bytes }),
                Ok(Ok(_)) => came_at = Instant::now(),
                Err(_) if came_at.elapsed() >= progress => return Err(no_progress()),
                Err(_) => {}
            }
            self.some_came |= bytes.len() > before;
            if bytes.ends_with(&self.mark) {
                break;
            }
            // The first answer removes the login.
            if self.asked_at.is_none_or(|at| at.elapsed() >= ASK_EVERY) {
                self.asked_at = Some(Instant::now());
                self.ask(agent, name, received_bytes, progress).await?;
            }
            let keep = self.mark.len() - 1;
            if bytes.len() >= PIECE_MAX_BYTES / 4 {
                self.held = bytes.split_off(bytes.len() - keep);
                return Ok(Piece { bytes, said: Vec::new() });
            }
        }
        loop {
            let Piece { said, .. } = self.ask(agent, name, received_bytes, progress).await?;
            match said.is_empty() {
                false => return Ok(Piece { bytes, said }),
                true if came_at.elapsed() >= progress => return Err(no_progress()),
                true => sleep(PAUSE).await,
            }
        }
    }

    async fn ask(
        &self,
        agent: &SharedAgent,
        name: &DumpName,
        received_bytes: u64,
        deadline: Duration,
    ) -> Result<Piece, DumpError> {
        let words = ["status", name.as_str(), if self.some_came { "1" } else { "0" }];
        ask(agent, &words, received_bytes, deadline).await
    }
}
