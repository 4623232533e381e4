//! A session that follows a script: for the exact order of statements, and for replies that no real server gives.
#![allow(clippy::panic, reason = "a deviation from the script is a failed test")]

use std::{collections::VecDeque, thread, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::sleep;

use super::{Answers, Database, DatabaseError, Rows, Statement, Timed};
use crate::call_log::CallLog;

/// One statement that is expected, and what comes of it. Begin with [`expect`].
pub struct Line {
    statement: String,
    delay: Duration,
    outcome: Outcome,
}

/// What a server makes of a statement.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It returns these rows.
    Returns(Rows),
    /// It answers with an error of this number, and the session goes on.
    Refuses(u16, String),
    /// It does not answer before the deadline.
    Hangs,
    /// The connection ends before the answer.
    LosesSession,
}

/// The next statement is this one, or begins with it, and returns no rows.
pub fn expect(statement: &str) -> Line {
    Line { statement: statement.to_owned(), delay: Duration::ZERO, outcome: Outcome::Returns(Rows::default()) }
}

impl Line {
    /// It returns these rows.
    pub fn returns(self, columns: &[&str], rows: &[&[Option<&str>]]) -> Self {
        Self { outcome: Outcome::Returns(Rows::of(columns, rows)), ..self }
    }

    /// The server answers with an error.
    pub fn refuses(self, code: u16, message: &str) -> Self {
        Self { outcome: Outcome::Refuses(code, message.to_owned()), ..self }
    }

    /// No reply comes before the deadline.
    pub fn hangs(self) -> Self {
        Self { outcome: Outcome::Hangs, ..self }
    }

    /// The connection ends before the reply.
    pub fn loses_session(self) -> Self {
        Self { outcome: Outcome::LosesSession, ..self }
    }

    /// The outcome comes after `delay`; past the deadline, it is a timeout.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

impl Outcome {
    /// Plays it, as the answer to `statement`.
    pub(super) async fn play(self, statement: &str, deadline: Duration) -> Result<Rows, DatabaseError> {
        let statement = Statement::new(statement);
        match self {
            Self::Returns(rows) => Ok(rows),
            Self::Refuses(code, message) => {
                Err(DatabaseError::Server { statement, code, message: Statement::new(&message) })
            }
            Self::Hangs => {
                sleep(deadline).await;
                Err(DatabaseError::TimedOut { statement, deadline })
            }
            Self::LosesSession => Err(DatabaseError::Lost { statement, problem: "the script says so".to_owned() }),
        }
    }
}

/// A [`Database`] that accepts exactly the statements of its script, in their order.
///
/// # Panics
/// On a statement that is not the next of the script, and, when dropped, on script that is left over.
pub struct ScriptedDatabase {
    script: VecDeque<Line>,
    log: CallLog,
    usable: bool,
}

impl ScriptedDatabase {
    /// A session that records each statement in `log`, as `database: STATEMENT`, and its end, as `database: close`.
    pub fn new(log: CallLog, script: impl IntoIterator<Item = Line>) -> Self {
        Self { script: script.into_iter().collect(), log, usable: true }
    }
}

impl ScriptedDatabase {
    async fn answer(&mut self, Timed { statement, deadline, .. }: &Timed) -> Result<Rows, DatabaseError> {
        if !std::mem::replace(&mut self.usable, false) {
            return Err(DatabaseError::Closed { statement: Statement::new(statement) });
        }
        self.log.record(format!("database: {statement}"));
        let Some(line) = self.script.pop_front() else {
            panic!("the database's script has ended, and `{statement}` came");
        };
        assert!(
            statement.starts_with(&line.statement),
            "the database's script expects `{}`, and `{statement}` came",
            line.statement
        );
        let late = line.delay >= *deadline;
        sleep(line.delay.min(*deadline)).await;
        let outcome = match line.outcome {
            _ if late => Err(DatabaseError::TimedOut { statement: Statement::new(statement), deadline: *deadline }),
            outcome => outcome.play(statement, *deadline).await,
        };
        self.usable = matches!(outcome, Ok(_) | Err(DatabaseError::Server { .. }));
        outcome
    }
}

impl Database for ScriptedDatabase {
    fn batch<'a>(&'a mut self, batch: &'a [Timed]) -> BoxFuture<'a, Answers> {
        async move {
            let mut answers = Answers::default();
            for timed in batch {
                if !answers.push(self.answer(timed).await) {
                    break;
                }
            }
            answers
        }
        .boxed()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        async move { drop(self) }.boxed()
    }
}

impl Drop for ScriptedDatabase {
    fn drop(&mut self) {
        self.log.record("database: close");
        // A second panic while the first unwinds would abort, and hide it.
        if !thread::panicking() && !self.script.is_empty() {
            let left: Vec<_> = self.script.iter().map(|line| line.statement.as_str()).collect();
            panic!("the database's script was not finished: {left:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "was not finished")]
    fn a_script_that_is_left_over_fails() {
        drop(ScriptedDatabase::new(CallLog::new(), [expect("SELECT 1")]));
    }
}
