//! A session inside the guest: the guest's own client, held idle by a script and fed through the guest agent. It needs no network, no
//! login and no port; without credentials the client is root on the server's socket, as an administrator in the guest would be.
//!
//! Each call is one `guest-exec` of a fixed script (`session.sh`), so a session works only while the agent executes programs: not
//! in a freeze, and not where `guest-exec` is blocked. On systems with SELinux the agent's domain (`virt_qemu_ga_t`) may not reach the
//! server's socket; `setsebool -P virt_qemu_ga_run_unconfined on` (or a policy module) allows it.
//!
//! The client lives at most [`AgentSession::MAX_LIFETIME`]. If the coordinator vanishes the client just sits there, and the server's
//! `wait_timeout` frees the lock. If the agent is stopped, systemd ends the client with it, and the lock is free at once.
//!
//! Values come in the client's `--batch` format. It prints NULL as `NULL`, so that a string that is just this word reads as NULL, and
//! a result without rows has no columns. Nothing that is asked here is hurt by either.

mod answer;
mod way;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinHandle, block_in_place};

use super::{Credentials, Database, DatabaseError, OpenSession, Rows, Statement};
use crate::agent::SharedAgent;
use answer::{ClientError, parse};
use way::{ANSWERED, CLOSE_DEADLINE, NO_ANSWER, Way};

/// How often to look for a session that was given up while it was being opened, every 50 ms.
const OPENING_PATIENCE: u32 = 40;

/// How long a session that is dropped waits for its end. A little longer than that may take, so that its failure is said.
const DROP_PATIENCE: Duration = CLOSE_DEADLINE.saturating_add(Duration::from_secs(1));

/// The longest statement. One write to a FIFO of 64 KiB takes it whole.
const MAX_STATEMENT_BYTES: usize = 32 << 10;

/// A session through the guest agent.
pub struct AgentSession {
    way: Way,
    /// The random name of its directory in the guest. Empty once the client was ended.
    name: String,
    /// `None` until it is open.
    connection_id: Option<u64>,
    /// How often to look for the session, every 50 ms, before there is none to be ended.
    patience: u32,
    /// Cleared while a statement runs, and for good once one was given up.
    usable: bool,
    /// Ends the client.
    ending: Option<JoinHandle<()>>,
}

impl AgentSession {
    /// How long the client lives in the guest at most.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(3600);

    /// Starts a client in the guest and waits until it has a connection.
    ///
    /// `credentials` go into a file that only root can read and that is gone once the client is connected. `socket` is a path in the
    /// guest, for a server that is not where the client looks.
    ///
    /// # Errors
    /// [`DatabaseError::Unsupported`] where the guest has no client or the agent executes nothing; [`DatabaseError::Unreachable`],
    /// [`DatabaseError::AccessDenied`], [`DatabaseError::TimedOut`], [`DatabaseError::Agent`].
    pub async fn open(
        agent: SharedAgent,
        credentials: Option<Credentials>,
        socket: Option<String>,
        deadline: Duration,
    ) -> Result<Self, DatabaseError> {
        const OPENING: &str = "opening a database session in the guest";
        // Armed first: if this future is dropped or the answer is lost, dropping the session ends whatever was started.
        let mut session = Self {
            way: Way { agent, credentials, socket },
            name: nonce(),
            connection_id: None,
            patience: OPENING_PATIENCE,
            usable: false,
            ending: None,
        };
        let nonce = nonce();
        let (deadline_s, lifetime_s) = (whole_seconds(deadline), whole_seconds(Self::MAX_LIFETIME));
        let socket = session.way.socket.clone().unwrap_or_default();
        let arguments = ["open", &session.name, &nonce, &deadline_s, &lifetime_s, &socket];
        let finished = session.way.script(&arguments, session.way.option_file(), OPENING, deadline).await;
        let outcome = finished.and_then(|finished| {
            session.patience = 0;
            let stderr = String::from_utf8_lossy(&finished.stderr);
            match ClientError::find(&stderr) {
                None if finished.exit == ANSWERED => parse(&finished, &nonce, OPENING)?.number(OPENING),
                error => Err(session.way.refused(finished.exit, &stderr, error, deadline)),
            }
        });
        match outcome {
            Ok(connection_id) => {
                session.connection_id = Some(connection_id);
                session.usable = true;
                Ok(session)
            }
            Err(error) => {
                Box::new(session).close().await;
                Err(error)
            }
        }
    }

    /// Opens such sessions on demand.
    pub fn opener(agent: SharedAgent, credentials: Option<Credentials>, socket: Option<String>) -> OpenSession {
        Arc::new(move |deadline| {
            let opening = Self::open(agent.clone(), credentials.clone(), socket.clone(), deadline);
            async move { Ok(Box::new(opening.await?) as Box<dyn Database>) }.boxed()
        })
    }

    async fn execute(&mut self, statement: &str, deadline: Duration) -> Result<Rows, DatabaseError> {
        let shown = || Statement::new(statement);
        if !std::mem::replace(&mut self.usable, false) {
            return Err(DatabaseError::Closed { statement: shown() });
        }
        let mut running = Running(Some(self));
        let outcome = match &mut running.0 {
            Some(session) => session.ask(statement, deadline).await,
            None => Err(DatabaseError::Closed { statement: shown() }),
        };
        let goes_on = match &outcome {
            Ok(_) | Err(DatabaseError::Server { .. }) => true,
            // The agent refused, or was not there: the client has not heard of the statement.
            Err(DatabaseError::Agent { source, .. }) => !source.may_have_executed(),
            Err(_) => false,
        };
        if goes_on && let Some(session) = running.0.take() {
            session.usable = true;
        }
        outcome
    }

    async fn ask(&self, statement: &str, deadline: Duration) -> Result<Rows, DatabaseError> {
        let shown = || Statement::new(statement);
        if statement.len() > MAX_STATEMENT_BYTES || statement.contains([';', '\n', '\r', '\0']) {
            let detail = "it is longer than 32 KiB, or not one statement in one line".to_owned();
            return Err(DatabaseError::UnexpectedReply { statement: shown(), detail });
        }
        let nonce = nonce();
        let input = format!("{statement};\nSELECT '{nonce}' AS stillpoint;\n");
        let arguments = ["query", &self.name, &nonce, &whole_seconds(deadline)];
        let finished = self.way.script(&arguments, input, statement, deadline).await?;
        let stderr = String::from_utf8_lossy(&finished.stderr);
        match (finished.exit, ClientError::find(&stderr)) {
            (ANSWERED, Some(error)) if !error.ends_the_connection() => Err(DatabaseError::Server {
                statement: shown(),
                code: error.code,
                message: Statement::new(error.message),
            }),
            (ANSWERED, None) => parse(&finished, &nonce, statement),
            (NO_ANSWER, None) => Err(DatabaseError::TimedOut { statement: shown(), deadline }),
            (_, Some(error)) => {
                Err(DatabaseError::Lost { statement: shown(), problem: Statement::new(error.line).to_string() })
            }
            (exit, None) => Err(DatabaseError::Lost {
                statement: shown(),
                problem: format!("the client in the guest is gone ({exit}): {}", Statement::new(&stderr)),
            }),
        }
    }
}

/// A statement is under way. If it is given up, the client is ended, and its connection killed on the server.
struct Running<'s>(Option<&'s mut AgentSession>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            session.end(session.connection_id);
        }
    }
}

impl AgentSession {
    /// Begins to end the client; once. It goes on if nobody waits for it.
    fn end(&mut self, killing: Option<u64>) {
        let name = std::mem::take(&mut self.name);
        if !name.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            self.ending = Some(runtime.spawn(self.way.clone().close(name, self.patience, killing)));
        }
    }
}

impl Drop for AgentSession {
    /// Waits until the client is ended: after a panic the process ends next, and whatever it has not done by then is left
    /// undone. The client would keep its lock.
    fn drop(&mut self) {
        self.end(None);
        if let Some(ending) = self.ending.take() {
            wait_here(ending);
        }
    }
}

/// Waits for `ending` where nothing can be awaited, for [`DROP_PATIENCE`] at most. The only thread of a runtime does not
/// wait: it is the one that ends the client.
fn wait_here(ending: JoinHandle<()>) {
    let Ok(runtime) = Handle::try_current() else { return };
    if runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
        let (unended, ended) = mpsc::channel::<()>();
        runtime.spawn(async move {
            ending.await.ok();
            drop(unended);
        });
        // Nothing is ever sent. A runtime that shuts down drops its tasks, and the wait is over, too.
        block_in_place(|| ended.recv_timeout(DROP_PATIENCE)).ok();
    }
}

impl Database for AgentSession {
    fn query<'a>(&'a mut self, statement: &'a str, deadline: Duration) -> BoxFuture<'a, Result<Rows, DatabaseError>> {
        self.execute(statement, deadline).boxed()
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        async move {
            self.end(None);
            if let Some(ending) = &mut self.ending {
                ending.await.ok();
            }
            self.ending = None;
        }
        .boxed()
    }
}

/// A word that no value contains by accident.
fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn whole_seconds(duration: Duration) -> String {
    (duration.as_secs() + 1).to_string()
}
