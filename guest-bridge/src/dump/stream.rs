//! A dump as it comes out of the guest, piece by piece, through the agent alone.
//!
//! Or through a port, where one was plugged in. One process in the guest (the keeper, `dump.sh`) runs the client and holds a FIFO open; each piece is one `guest-exec` of a `dd` that reads
//! from it. Nothing is stored in the guest but one piece, in the agent's memory, until it is told.

use std::time::Duration;

use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    DumpError, DumpName, DumpTerms, Ended, Login,
    ended::{ClientEnd, Edges},
    from_port::FromPort,
    port::Port,
    way::{DONE, PIECE_BLOCKS, PIECE_MAX_BYTES, Piece, READING, ask, end_after, refused, script},
};
use crate::{
    agent::{AgentError, SharedAgent, guest_text},
    database::last_words::wait_here,
};

/// How often to look for a dump whose start was given up, every 50 ms, before there is none to be ended.
const STARTING_PATIENCE: u32 = 40;
/// How long a stream that is dropped waits for its end.
const DROP_PATIENCE: Duration = Duration::from_secs(16);
const END_DEADLINE: Duration = Duration::from_secs(15);
/// Between two tries.
const END_PAUSE: Duration = Duration::from_millis(200);

/// A dump that is under way in a guest. Dropped, it is ended there.
#[must_use = "dropping it ends the dump in the guest"]
pub struct DumpStream {
    agent: SharedAgent,
    /// Where it comes through a port.
    port: Option<FromPort>,
    /// `None` once it was ended.
    name: Option<DumpName>,
    terms: DumpTerms,
    client: Client,
    patience: u32,
    received_bytes: u64,
    edges: Edges,
    /// Once the client has ended.
    client_end: Option<ClientEnd>,
    /// What came behind its last byte.
    behind: Vec<u8>,
    state: State,
    /// Ends the dump.
    ending: Option<JoinHandle<()>>,
}

/// The dump client in the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its process in the guest, which its connection tells the server, too.
    pub pid: u64,
    /// What it says of its version.
    pub version: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Usable,
    /// A piece is being read; for good where that was given up.
    Reading,
    Carried,
}

impl DumpStream {
    /// The most that one piece has.
    pub const PIECE_MAX_BYTES: usize = PIECE_MAX_BYTES;

    /// Starts the client in the guest with `arguments`, behind an option file of its own that has nothing but the login. Whatever fails, or
    /// if this future is dropped, the dump is ended.
    ///
    /// # Errors
    /// [`DumpError::Impossible`] where the guest has no client of this product or no place for a dump, [`DumpError::Agent`]. That the server
    /// lets nobody in shows in the stream's [`Ended`].
    pub async fn start(
        agent: SharedAgent,
        name: DumpName,
        login: &Login,
        arguments: &[String],
        terms: DumpTerms,
    ) -> Result<Self, DumpError> {
        Self::start_by(None, agent, name, login, arguments, terms).await
    }

    /// The same through a port that was [plugged in](Port::plug) for `name`: much faster than through the agent, which is asked only now and
    /// then how it goes. The port has to be taken out when the stream has ended.
    ///
    /// # Errors
    /// Those of [`DumpStream::start`]; [`DumpError::Impossible`] where the guest does not see the port.
    pub async fn start_through_port(
        port: Port,
        agent: SharedAgent,
        name: DumpName,
        login: &Login,
        arguments: &[String],
        terms: DumpTerms,
    ) -> Result<Self, DumpError> {
        Self::start_by(Some(FromPort::new(port, &name)), agent, name, login, arguments, terms).await
    }

    async fn start_by(
        port: Option<FromPort>,
        agent: SharedAgent,
        name: DumpName,
        login: &Login,
        arguments: &[String],
        terms: DumpTerms,
    ) -> Result<Self, DumpError> {
        let way = if port.is_some() { "port" } else { "agent" };
        // Armed first: if this future is dropped or the answer is lost, dropping the stream ends whatever was started.
        let mut stream = Self {
            agent: agent.clone(),
            port,
            name: Some(name.clone()),
            terms,
            client: Client::default(),
            patience: STARTING_PATIENCE,
            received_bytes: 0,
            edges: Edges::default(),
            client_end: None,
            behind: Vec::new(),
            state: State::Usable,
            ending: None,
        };
        let (idle_s, lifetime_s) = (terms.idle_s(), terms.lifetime_s());
        let mut words = vec!["start", name.as_str(), login.product_word(), way, &idle_s, &lifetime_s];
        words.extend(arguments.iter().map(String::as_str));
        let socket = login.socket_argument();
        words.splice(6..6, socket.as_deref());
        let started = script(&mut agent.clone(), &words, login.option_file(), terms.start).await;
        let outcome = match started {
            Ok(finished) if finished.exit == DONE => client(&finished.stdout),
            Ok(finished) => Err(refused(&finished)),
            Err(AgentError::Unavailable { command, desc }) => {
                Err(DumpError::Impossible { problem: format!("the guest agent does not offer {command}: {desc}") })
            }
            Err(source) => Err(DumpError::Agent { doing: "starting a dump", source }),
        };
        match outcome {
            Ok(client) => {
                stream.client = client;
                stream.patience = 0;
                Ok(stream)
            }
            Err(error) => {
                stream.end().await;
                Err(error)
            }
        }
    }

    /// The client that runs.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What it is called, to [`end`](super::end()) it by.
    pub fn name(&self) -> Option<&DumpName> {
        self.name.as_ref()
    }

    /// The next bytes, [`Self::PIECE_MAX_BYTES`] at most and at least one; `None` when there are no more, and [`Self::ended`] says how it
    /// ended. A call that was dropped has lost its piece: every later one is [`DumpError::Closed`].
    ///
    /// # Errors
    /// See [`DumpError`]. After one the dump cannot be read on.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, DumpError> {
        loop {
            match std::mem::replace(&mut self.state, State::Reading) {
                State::Usable => {}
                State::Reading => return Err(DumpError::Closed),
                State::Carried => {
                    self.state = State::Carried;
                    return Ok(None);
                }
            }
            let piece = self.read().await?;
            let piece = self.take(piece)?;
            self.state = if self.all_is_here()? { State::Carried } else { State::Usable };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    async fn read(&mut self) -> Result<Piece, DumpError> {
        let Some(name) = self.name.clone() else { return Err(DumpError::Closed) };
        let received_bytes = self.received_bytes;
        if let Some(port) = &mut self.port {
            return port.read(&self.agent, &name, received_bytes, self.terms.progress).await;
        }
        let words = ["read", name.as_str(), &PIECE_BLOCKS.to_string()];
        let piece = ask(&self.agent, &words, received_bytes, self.terms.progress).await?;
        // At its end come zeros: nothing comes only where there is no keeper any more.
        if piece.bytes.is_empty() { Err(DumpError::Gone { received_bytes }) } else { Ok(piece) }
    }

    /// What of an answer is the dump's.
    fn take(&mut self, Piece { bytes: mut piece, said }: Piece) -> Result<Vec<u8>, DumpError> {
        if piece.len() > Self::PIECE_MAX_BYTES {
            let detail = format!("{} bytes came for {}", piece.len(), Self::PIECE_MAX_BYTES);
            return Err(DumpError::Unexpected { doing: READING, detail });
        }
        if self.client_end.is_none() {
            self.client_end = ClientEnd::read(&said)?;
        }
        if let Some(end) = &self.client_end {
            // The end is noted before anything is written behind it: this piece has some of that, or none.
            let Some(left) = end.counted_bytes.checked_sub(self.received_bytes) else {
                return Err(DumpError::BytesDiffer { counted_bytes: end.counted_bytes });
            };
            let left = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            let behind = piece.split_off(left);
            let missing = self.mark().len().saturating_sub(self.behind.len());
            self.behind.extend(behind.iter().take(missing));
        }
        self.received_bytes += piece.len() as u64;
        self.edges.push(&piece);
        Ok(piece)
    }

    /// Whether the client's last byte came, and behind it what the guest puts there: bytes that were lost would let that come too early.
    fn all_is_here(&self) -> Result<bool, DumpError> {
        let Some(ClientEnd { counted_bytes, .. }) = self.client_end else { return Ok(false) };
        match self.behind == self.mark() {
            true => Ok(true),
            false if self.mark().starts_with(&self.behind) => Ok(false),
            false => Err(DumpError::BytesDiffer { counted_bytes }),
        }
    }

    fn mark(&self) -> &[u8] {
        self.name.as_ref().map_or(&[], |name| name.as_str().as_bytes())
    }

    /// How the client ended and what came of it; `None` until the last piece was read.
    pub fn ended(&self) -> Option<Ended> {
        let end = self.client_end.as_ref().filter(|_| self.state == State::Carried)?;
        Some(Ended {
            exit: end.exit,
            stderr: end.stderr.clone(),
            counted_bytes: end.counted_bytes,
            received_bytes: self.received_bytes,
            head: self.edges.head.clone(),
            tail: self.edges.tail.clone(),
        })
    }

    /// How much of the dump came so far.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Ends the dump in the guest, wherever it is, and waits until nothing of it is left there.
    ///
    /// # Errors
    /// Those of [`end`](super::end()).
    pub async fn close(mut self) -> Result<(), DumpError> {
        let Some(name) = self.name.clone() else { return Ok(()) };
        let ended = end_after(&mut self.agent.clone(), &name, self.patience, END_DEADLINE).await;
        if ended.is_ok() {
            self.name = None;
        }
        ended
    }

    async fn end(&mut self) {
        self.begin_to_end();
        if let Some(ending) = &mut self.ending {
            ending.await.ok();
        }
        self.ending = None;
    }

    /// Begins to end it; once. It goes on if nobody waits for it.
    fn begin_to_end(&mut self) {
        if let Some(name) = self.name.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let (mut agent, patience) = (self.agent.clone(), self.patience);
            self.ending = Some(runtime.spawn(async move {
                let deadline = Instant::now() + END_DEADLINE;
                let left = || deadline.saturating_duration_since(Instant::now());
                while let Err(error) = end_after(&mut agent, &name, patience, left()).await {
                    if left() < END_PAUSE {
                        // It ends by itself when nobody reads.
                        tracing::warn!(%error, dump = %name, "the dump in the guest may still run");
                        return;
                    }
                    // Whoever was interrupted in a call has lost his connection, and some agents accept none for a moment then.
                    sleep(END_PAUSE).await;
                }
            }));
        }
    }
}

impl Drop for DumpStream {
    /// Waits until it is ended: after a panic the process ends next.
    fn drop(&mut self) {
        self.begin_to_end();
        if let Some(ending) = self.ending.take() {
            wait_here(ending, DROP_PATIENCE);
        }
    }
}

/// `PID VERSION`, on one line.
fn client(stdout: &[u8]) -> Result<Client, DumpError> {
    let said = String::from_utf8_lossy(stdout);
    let mut words = said.trim_end().splitn(2, ' ');
    let pid = words.next().and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0);
    let unexpected = || DumpError::Unexpected { doing: "starting a dump", detail: guest_text(&said) };
    Ok(Client { pid: pid.ok_or_else(unexpected)?, version: guest_text(words.next().unwrap_or_default()) })
}
