//! A session inside the guest: the guest's own client, held idle by a script and fed through the guest agent. It needs no network, no
//! login and no port; without credentials the client is root on the server's socket, as an administrator in the guest would be.
//!
//! Each call is one `guest-exec` of a fixed script (`agent_session.sh`), so a session works only while the agent executes programs: not
//! in a freeze, and not where `guest-exec` is blocked. On systems with SELinux the agent's domain (`virt_qemu_ga_t`) may not reach the
//! server's socket; `setsebool -P virt_qemu_ga_run_unconfined on` (or a policy module) allows it.
//!
//! The client lives at most [`AgentSession::MAX_LIFETIME`]. If the coordinator vanishes the client just sits there, and the server's
//! `wait_timeout` frees the lock. If the agent is stopped, systemd ends the client with it, and the lock is free at once.
//!
//! Values come in the client's `--batch` format. It prints NULL as `NULL`, so that a string that is just this word reads as NULL, and
//! a result without rows has no columns. Nothing that is asked here is hurt by either.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::task::JoinHandle;

use super::{Credentials, Database, DatabaseError, OpenSession, Rows, Statement, net};
use crate::agent::{AgentError, Exit, Finished, Program, SharedAgent, run};

const SCRIPT: &str = include_str!("agent_session.sh");

/// What errors call the place where the server is.
const ADDRESS: &str = "the guest's own socket, through the guest agent";

/// Killing, ending the client, and removing its directory.
const CLOSE_DEADLINE: Duration = Duration::from_secs(15);

/// How often to look for a session that was given up while it was being opened, every 50 ms.
const OPENING_PATIENCE: u32 = 40;

/// The longest statement. One write to a FIFO of 64 KiB takes it whole.
const MAX_STATEMENT_BYTES: usize = 32 << 10;

/// How the script ends when all is well.
const ANSWERED: Exit = Exit::Code(0);
const CLIENT_ENDED: Exit = Exit::Code(3);
const NO_ANSWER: Exit = Exit::Code(4);
const NO_PLACE: Exit = Exit::Code(5);
const PROGRAM_MISSING: Exit = Exit::Code(6);

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
    /// Ends the client after a statement that was given up.
    ending: Option<JoinHandle<()>>,
}

/// How to open a session, and to end one.
#[derive(Clone)]
struct Way {
    agent: SharedAgent,
    credentials: Option<Credentials>,
    socket: Option<String>,
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

impl Way {
    fn option_file(&self) -> String {
        self.credentials.as_ref().map(Credentials::to_option_file).unwrap_or_default()
    }

    async fn script(
        &self,
        arguments: &[&str],
        input: String,
        doing: &str,
        deadline: Duration,
    ) -> Result<Finished, DatabaseError> {
        let arguments = ["-c", SCRIPT, "stillpoint"].iter().chain(arguments).copied();
        let program = Program::new("/bin/sh", arguments).with_input(input);
        run(&mut self.agent.clone(), &program, deadline).await.map_err(|error| match error {
            AgentError::StillRunning { .. } | AgentError::Timeout { .. } => {
                DatabaseError::TimedOut { statement: Statement::new(doing), deadline }
            }
            AgentError::Unavailable { .. } => DatabaseError::Unsupported { problem: error.to_string() },
            source => DatabaseError::Agent { statement: Statement::new(doing), source },
        })
    }

    /// Ends the client; with a connection id also what the server still does for it.
    async fn close(self, name: String, patience: u32, connection_id: Option<u64>) {
        let (patience, id) = (patience.to_string(), connection_id.map(|id| id.to_string()));
        let mut arguments = vec!["close", &name, &patience];
        let mut input = String::new();
        if let Some(id) = &id {
            arguments.extend([id.as_str(), self.socket.as_deref().unwrap_or_default()]);
            input = self.option_file();
        }
        let doing = "ending the database client in the guest";
        if let Err(error) = self.script(&arguments, input, doing, CLOSE_DEADLINE).await {
            // The server's wait_timeout comes after it, and the client's own lifetime.
            tracing::warn!(%error, session = name, "the database client in the guest may still run");
        }
    }

    fn refused(&self, exit: Exit, stderr: &str, error: Option<ClientError<'_>>, deadline: Duration) -> DatabaseError {
        let address = ADDRESS.to_owned();
        match (exit, error) {
            (NO_PLACE | PROGRAM_MISSING, _) => {
                DatabaseError::Unsupported { problem: Statement::new(stderr).to_string() }
            }
            (_, Some(error)) if net::is_refusal(error.code) => DatabaseError::AccessDenied {
                address,
                user: self.credentials.as_ref().map_or("root", Credentials::user).to_owned(),
                message: Statement::new(error.message),
            },
            (NO_ANSWER, None) => {
                DatabaseError::Unreachable { address, problem: format!("no answer within {} ms", deadline.as_millis()) }
            }
            (_, Some(error)) => DatabaseError::Unreachable { address, problem: Statement::new(error.line).to_string() },
            (exit, None) => DatabaseError::Unreachable {
                address,
                problem: format!(
                    "{}: {}",
                    if exit == CLIENT_ENDED { "the client ended".to_owned() } else { exit.to_string() },
                    Statement::new(stderr)
                ),
            },
        }
    }
}

/// A statement is under way. If it is given up, the client is ended, and its connection killed on the server.
struct Running<'s>(Option<&'s mut AgentSession>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.0.take()
            && let Some(ending) = session.end(session.connection_id)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            session.ending = Some(runtime.spawn(ending));
        }
    }
}

impl AgentSession {
    /// What ends the client; once.
    fn end(&mut self, killing: Option<u64>) -> Option<impl Future<Output = ()> + use<>> {
        let name = std::mem::take(&mut self.name);
        (!name.is_empty()).then(|| self.way.clone().close(name, self.patience, killing))
    }
}

impl Drop for AgentSession {
    fn drop(&mut self) {
        if let Some(ending) = self.end(None)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(ending);
        }
    }
}

impl Database for AgentSession {
    fn query<'a>(&'a mut self, statement: &'a str, deadline: Duration) -> BoxFuture<'a, Result<Rows, DatabaseError>> {
        self.execute(statement, deadline).boxed()
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        async move {
            if let Some(ending) = self.end(None) {
                ending.await;
            }
            if let Some(ending) = self.ending.take() {
                ending.await.ok();
            }
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

fn parse(finished: &Finished, nonce: &str, statement: &str) -> Result<Rows, DatabaseError> {
    reply(&String::from_utf8_lossy(&finished.stdout), nonce).ok_or_else(|| DatabaseError::UnexpectedReply {
        statement: Statement::new(statement),
        detail: "the client's answer does not end as it should, or is too long".to_owned(),
    })
}

/// The rows before the nonce; `None` if it does not end with it.
fn reply(said: &str, nonce: &str) -> Option<Rows> {
    let rows = said.strip_suffix('\n')?.strip_suffix(nonce)?.strip_suffix("stillpoint\n")?;
    if rows.len() > Rows::MAX_BYTES {
        return None;
    }
    let mut lines = rows.lines();
    let columns = lines.next().map(|line| line.split('\t').map(unescape).collect()).unwrap_or_default();
    let rows =
        lines.map(|line| line.split('\t').map(|value| (value != "NULL").then(|| unescape(value))).collect()).collect();
    Some(Rows { columns, rows })
}

/// Undoes what `--batch` does to tabs, newlines, NUL bytes and backslashes.
fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match (char, if char == '\\' { chars.next() } else { None }) {
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('0')) => plain.push('\0'),
            ('\\', Some(other)) => plain.push(other),
            (char, _) => plain.push(char),
        }
    }
    plain
}

/// `ERROR 1205 (HY000) at line 3: Lock wait timeout exceeded; try restarting transaction`
#[derive(Debug, PartialEq, Eq)]
struct ClientError<'s> {
    code: u16,
    message: &'s str,
    line: &'s str,
}

impl<'s> ClientError<'s> {
    /// The first one that the client printed.
    fn find(stderr: &'s str) -> Option<Self> {
        stderr.lines().find_map(|line| {
            let rest = line.strip_prefix("ERROR ")?;
            let (code, rest) = rest.split_once(' ')?;
            Some(Self { code: code.trim_end_matches(':').parse().ok()?, message: rest.split_once(": ")?.1, line })
        })
    }

    fn ends_the_connection(&self) -> bool {
        // The client's own errors: gone away, lost connection, …
        (2000..3000).contains(&self.code) || net::ends_the_connection(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_end_at_the_nonce() {
        let rows = reply("id\tname\n1\ta\\tb\\\\n\n2\tNULL\nstillpoint\nabc\n", "abc").unwrap();
        assert_eq!(rows, Rows::of(&["id", "name"], &[&[Some("1"), Some("a\tb\\n")], &[Some("2"), None]]));
        assert_eq!(reply("stillpoint\nabc\n", "abc"), Some(Rows::default()));
    }

    #[test]
    fn an_answer_without_its_own_nonce_is_none() {
        for said in ["", "id\n1\n", "id\n1\nstillpoint\nxyz\n", "id\n1\nstillpoint\nabc"] {
            assert_eq!(reply(said, "abc"), None, "{said:?}");
        }
    }

    #[test]
    fn errors_are_read_from_what_the_client_prints() {
        let stderr =
            "--------------\nBACKUP STAGE START\n--------------\n\nERROR 1205 (HY000) at line 3: Lock wait: late\n";
        let error = ClientError::find(stderr).unwrap();
        assert_eq!((error.code, error.message, error.ends_the_connection()), (1205, "Lock wait: late", false));
        let error = ClientError::find("ERROR 2002 (HY000): Can't connect").unwrap();
        assert!(error.ends_the_connection());
        assert_eq!(ClientError::find("ERROR: no number"), None);
    }
}
