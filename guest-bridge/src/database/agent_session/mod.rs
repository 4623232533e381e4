//! A session inside the guest: the guest's own client, held idle by a script and fed through the guest agent. It needs no network, no
//! login and no port; without credentials the client is root on the server's socket, as an administrator in the guest would be.
//!
//! Each batch is one `guest-exec` of a fixed script (`session.sh`), so a session works only while the agent executes programs: not
//! in a freeze, and not where `guest-exec` is blocked. On systems with SELinux the agent's domain (`virt_qemu_ga_t`) may not reach the
//! server's socket; `setsebool -P virt_qemu_ga_run_unconfined on` (or a policy module) allows it.
//!
//! The client lives at most [`AgentSession::MAX_LIFETIME`]. If the coordinator vanishes the client just sits there, and the server's
//! `wait_timeout` frees the lock. If the agent is stopped, systemd ends the client with it, and the lock is free at once.
//!
//! Values come in the client's `--batch` format. It prints NULL as `NULL`, so that a string that is just this word reads as NULL, and
//! a result without rows has no columns. Nothing that is asked here is hurt by either.

mod answer;
mod owner;
mod way;

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{runtime::Handle, task::JoinHandle};

use super::{Answers, Credentials, Database, DatabaseError, OpenSession, Rows, Statement, Timed};
use super::{batch::longest, last_words::wait_here};
use crate::agent::{Finished, SharedAgent};
use answer::{ClientError, otherwise_formed, replies};
pub use owner::Owner;
use way::{ANSWERED, CLOSE_DEADLINE, NO_ANSWER, Way};

/// How often to look for a session that was given up while it was being opened, every 50 ms.
const OPENING_PATIENCE: u32 = 40;

/// How long a session that is dropped waits for its end. A little longer than that may take, so that its failure is said.
const DROP_PATIENCE: Duration = CLOSE_DEADLINE.saturating_add(Duration::from_secs(1));

/// The longest batch. One write to a FIFO of 64 KiB takes it whole: from then on the client carries it out, whoever has died meanwhile.
const MAX_BATCH_BYTES: usize = 32 << 10;

/// How many lines the client is given in place of one statement: it, and the one that selects the nonce.
const LINES_A_STATEMENT: u64 = 2;

/// A session through the guest agent.
pub struct AgentSession {
    way: Way,
    /// The name of its directory in the guest. Empty once the client was ended.
    name: String,
    /// `None` until it is open.
    connection_id: Option<u64>,
    /// How often to look for the session, every 50 ms, before there is none to be ended.
    patience: u32,
    /// How many lines the client was given: it says of its errors in which one they are.
    lines: u64,
    /// Cleared while a statement runs, and for good once one was given up.
    usable: bool,
    /// Ends the client.
    ending: Option<JoinHandle<()>>,
}

/// Ends every session of `owner` in the guest, and with them their locks. Where there is none, nothing is done.
///
/// # Errors
/// [`DatabaseError`]: whether one is left is not known.
pub async fn end_all(agent: SharedAgent, owner: &Owner, deadline: Duration) -> Result<(), DatabaseError> {
    let way = Way { agent, credentials: None, socket: None };
    let doing = Statement::new("ending the database clients of a dead run in the guest");
    let finished = way.script(&["end-all", owner.as_str()], String::new(), doing.clone(), deadline).await?;
    if finished.success() {
        return Ok(());
    }
    let problem = Statement::new(&String::from_utf8_lossy(&finished.stderr)).to_string();
    Err(DatabaseError::Lost { statement: doing, problem: format!("{}: {problem}", finished.exit) })
}

impl AgentSession {
    /// How long the client lives in the guest at most.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(3600);

    /// Starts a client in the guest and waits until it has a connection.
    ///
    /// `credentials` go into a file that only root can read and that is gone once the client is connected. `socket` is a path in the
    /// guest, for a server that is not where the client looks. [`end_all`] ends it by its `owner`.
    ///
    /// # Errors
    /// [`DatabaseError::Unsupported`] where the guest has no client or the agent executes nothing; [`DatabaseError::Unreachable`],
    /// [`DatabaseError::AccessDenied`], [`DatabaseError::TimedOut`], [`DatabaseError::Agent`].
    pub async fn open(
        agent: SharedAgent,
        credentials: Option<Credentials>,
        socket: Option<String>,
        owner: &Owner,
        deadline: Duration,
    ) -> Result<Self, DatabaseError> {
        const OPENING: &str = "opening a database session in the guest";
        // Armed first: if this future is dropped or the answer is lost, dropping the session ends whatever was started.
        let mut session = Self {
            way: Way { agent, credentials, socket },
            name: format!("{owner}-{}", nonce()),
            connection_id: None,
            patience: OPENING_PATIENCE,
            lines: LINES_A_STATEMENT,
            usable: false,
            ending: None,
        };
        let nonce = nonce();
        // The script gives up first, because it can say what came in place of an answer. Its seconds are half as long again as others.
        let deadline_s = (deadline * 2 / 3).as_secs().max(1).to_string();
        let lifetime_s = whole_seconds(Self::MAX_LIFETIME);
        let socket = session.way.socket.clone().unwrap_or_default();
        let arguments = ["open", &session.name, &nonce, &deadline_s, &lifetime_s, &socket];
        let finished =
            session.way.script(&arguments, session.way.option_file(), Statement::new(OPENING), deadline).await;
        let outcome = finished.and_then(|finished| {
            session.patience = 0;
            let stderr = String::from_utf8_lossy(&finished.stderr);
            let said = String::from_utf8_lossy(&finished.stdout);
            match ClientError::all(&stderr).next() {
                None if finished.exit == ANSWERED => replies(&said, &nonce).pop().unwrap_or_default().number(OPENING),
                error => Err(session.way.refused(finished.exit, &said, &stderr, error, deadline)),
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
    pub fn opener(
        agent: SharedAgent,
        credentials: Option<Credentials>,
        socket: Option<String>,
        owner: Owner,
    ) -> OpenSession {
        Arc::new(move |deadline| {
            let (agent, credentials, socket) = (agent.clone(), credentials.clone(), socket.clone());
            let owner = owner.clone();
            async move {
                let session = Self::open(agent, credentials, socket, &owner, deadline).await?;
                Ok(Box::new(session) as Box<dyn Database>)
            }
            .boxed()
        })
    }

    async fn execute(&mut self, batch: &[Timed]) -> Answers {
        if !std::mem::replace(&mut self.usable, false) {
            return DatabaseError::Closed { statement: described(batch) }.into();
        }
        let mut running = Running(Some(self));
        let answers = match &mut running.0 {
            Some(session) => session.ask(batch).await,
            None => return DatabaseError::Closed { statement: described(batch) }.into(),
        };
        let goes_on = match answers.end() {
            None => true,
            // The agent refused, or was not there: the client has not heard of the statement.
            Some(DatabaseError::Agent { source, .. }) => !source.may_have_executed(),
            Some(_) => false,
        };
        if goes_on && let Some(session) = running.0.take() {
            session.usable = true;
        }
        answers
    }

    async fn ask(&mut self, batch: &[Timed]) -> Answers {
        let is_one = |timed: &Timed| !timed.statement.contains([';', '\n', '\r', '\0']);
        let nonce = nonce();
        let line = |timed: &Timed| format!("{};\nSELECT '{nonce}' AS stillpoint;\n", timed.statement);
        let input: String = batch.iter().map(line).collect();
        if input.len() > MAX_BATCH_BYTES || !batch.iter().all(is_one) {
            let detail = "it is longer than 32 KiB, or not one statement in one line".to_owned();
            return DatabaseError::UnexpectedReply { statement: described(batch), detail }.into();
        }
        let deadline = |timed: &Timed| if timed.shared { "+".to_owned() } else { whole_seconds(timed.deadline) };
        let deadlines: Vec<String> = batch.iter().map(deadline).collect();
        let arguments = ["query", &self.name, &nonce, &deadlines.join(" ")];
        match self.way.script(&arguments, input, described(batch), longest(batch)).await {
            Ok(finished) => {
                let before = self.lines;
                self.lines += LINES_A_STATEMENT * batch.len() as u64;
                sort(&finished, &nonce, batch, before)
            }
            Err(error) => error.into(),
        }
    }
}

/// What a batch is called where it fails as a whole.
fn described(batch: &[Timed]) -> Statement {
    match batch {
        [] => Statement::new("an empty batch"),
        [one] => one.shown(),
        [first, rest @ ..] => Statement::new(&format!("{} and {} more", first.statement, rest.len())),
    }
}

/// Gives each statement its answer. `before` is how many lines the client had been given before.
fn sort(finished: &Finished, nonce: &str, batch: &[Timed], before: u64) -> Answers {
    let stderr = String::from_utf8_lossy(&finished.stderr);
    let said = if finished.stdout.len() > Rows::MAX_BYTES { &[] } else { &finished.stdout[..] };
    let mut replies = replies(&String::from_utf8_lossy(said), nonce).into_iter();
    let errors: Vec<_> = ClientError::all(&stderr).collect();
    let mut answers = Answers::default();
    let mut first_line = before + 1;
    for timed in batch {
        let lines = first_line..first_line + LINES_A_STATEMENT;
        first_line = lines.end;
        let error = errors.iter().find(|error| error.at_line.is_some_and(|line| lines.contains(&line)));
        let statement = timed.shown();
        let lost = |problem: &str| DatabaseError::Lost {
            statement: timed.shown(),
            problem: Statement::new(problem).to_string(),
        };
        let answer = match (error, replies.next()) {
            (Some(error), _) if error.ends_the_connection() => Err(lost(error.line)),
            (Some(error), Some(_)) => {
                Err(DatabaseError::Server { statement, code: error.code, message: Statement::new(error.message) })
            }
            (None, Some(rows)) => Ok(rows),
            (_, None) => Err(match errors.iter().find(|error| error.ends_the_connection()) {
                Some(error) => lost(error.line),
                None if finished.exit == NO_ANSWER => DatabaseError::TimedOut { statement, deadline: timed.deadline },
                None if finished.exit == ANSWERED => DatabaseError::UnexpectedReply {
                    statement,
                    detail: format!(
                        "the client's answer does not end as it should, or is too long{}",
                        otherwise_formed(&String::from_utf8_lossy(said))
                    ),
                },
                None => lost(&format!("the client in the guest is gone ({}): {stderr}", finished.exit)),
            }),
        };
        if !answers.push(answer) {
            return answers;
        }
    }
    // An error that is of no statement may be of any: none of the answers can be believed.
    let stray = errors.iter().find(|error| !error.at_line.is_some_and(|line| (before + 1..first_line).contains(&line)));
    match stray {
        None => answers,
        Some(error) => DatabaseError::UnexpectedReply {
            statement: described(batch),
            detail: format!("an error that belongs to no statement: {}", Statement::new(error.line)),
        }
        .into(),
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
            wait_here(ending, DROP_PATIENCE);
        }
    }
}

impl Database for AgentSession {
    fn batch<'a>(&'a mut self, batch: &'a [Timed]) -> BoxFuture<'a, Answers> {
        self.execute(batch).boxed()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::{Exit, SimulatedGuest},
        call_log::CallLog,
    };

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_another_form_names_what_may_have_changed_it() {
        let said = |exit, stdout: &'static str| {
            SimulatedGuest::new(CallLog::new(), ["/"]).runs(move |_| Finished {
                exit,
                stdout: stdout.into(),
                stderr: Vec::new(),
            })
        };
        let guest = said(NO_ANSWER, "\n+----+\n| id |\n+----+\n");
        let error = AgentSession::open(SharedAgent::new(guest), None, None, &Owner::new(), Duration::from_secs(1))
            .await
            .err()
            .unwrap();
        let words = "an option file of the guest's client may change its output: +----+";
        assert!(matches!(error, DatabaseError::Unreachable { .. }) && error.to_string().contains(words), "{error}");
        let guest = said(NO_ANSWER, "");
        let error = AgentSession::open(SharedAgent::new(guest), None, None, &Owner::new(), Duration::from_secs(1))
            .await
            .err()
            .unwrap();
        assert!(!error.to_string().contains("option file"), "{error}");

        let finished = Finished { exit: Exit::Code(0), stdout: b"stillpoint: x\n".to_vec(), stderr: Vec::new() };
        let error = sort(&finished, "nonce", &[Timed::new("SELECT 1", Duration::ZERO)], 0).next().unwrap_err();
        assert!(error.to_string().contains("may change its output: stillpoint: x"), "{error}");
    }
}
