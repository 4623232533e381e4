//! Its sessions.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};

use super::{SimulatedMariaDb, When};
use crate::database::{Answers, Database, DatabaseError, OpenSession, Rows, Statement, Timed, scripted::Outcome};

impl SimulatedMariaDb {
    /// Opens sessions of this server.
    pub fn opener(&self) -> OpenSession {
        let server = self.clone();
        Arc::new(move |_deadline| {
            let server = server.clone();
            async move {
                if server.state().unreachable {
                    let (address, problem) = ("simulated".to_owned(), "connection refused".to_owned());
                    return Err(DatabaseError::Unreachable { address, problem });
                }
                let mut state = server.state();
                state.sessions += 1;
                let id = state.sessions;
                drop(state);
                Ok(Box::new(Session { server, id, usable: true, held_lock: false }) as Box<dyn Database>)
            }
            .boxed()
        })
    }

    fn fault(&self, statement: &str) -> Option<Outcome> {
        let mut state = self.state();
        state.statements += 1;
        let nth = state.statements;
        let hit = state.faults.iter().position(|(when, _)| match when {
            When::Nth(wanted) => *wanted == nth,
            When::Begins(beginning) => statement.starts_with(beginning),
        })?;
        Some(state.faults.swap_remove(hit).1)
    }
}

struct Session {
    server: SimulatedMariaDb,
    id: u64,
    usable: bool,
    held_lock: bool,
}

impl Session {
    fn free(&mut self) {
        let mut state = self.server.state();
        if state.locked_by == Some(self.id) {
            state.locked_by = None;
        }
    }

    async fn take(&mut self, Timed { statement, deadline, .. }: &Timed) -> Result<Rows, DatabaseError> {
        if !std::mem::replace(&mut self.usable, false) {
            return Err(DatabaseError::Closed { statement: Statement::new(statement) });
        }
        self.server.log.record(format!("database: {statement}"));
        let expired = self.held_lock && self.server.state().locked_by != Some(self.id);
        let outcome = match self.server.fault(statement) {
            Some(fault) => fault.play(statement, *deadline).await,
            None if expired => Outcome::LosesSession.play(statement, *deadline).await,
            None => Ok(self.server.state().answer(self.id, statement)),
        };
        self.held_lock = self.server.state().locked_by == Some(self.id);
        self.usable = matches!(outcome, Ok(_) | Err(DatabaseError::Server { .. }));
        if !self.usable {
            self.free();
        }
        outcome
    }
}

impl Database for Session {
    fn batch<'a>(&'a mut self, batch: &'a [Timed]) -> BoxFuture<'a, Answers> {
        async move {
            self.server.state().round_trips += 1;
            let mut answers = Answers::default();
            for timed in batch {
                if !answers.push(self.take(timed).await) {
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

impl Drop for Session {
    fn drop(&mut self) {
        self.free();
        self.server.log.record("database: close");
    }
}
