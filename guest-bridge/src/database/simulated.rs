//! A MariaDB server that lives in memory: it answers what is asked of it here, knows whether it is locked, and fails on demand.
#![allow(clippy::panic, reason = "a statement that the simulation does not know is a failed test")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{FutureExt, future::BoxFuture};

use super::{Answers, Database, DatabaseError, OpenSession, Rows, Statement, Timed, scripted::Outcome};
use crate::call_log::CallLog;

/// A healthy server with a binlog. Clones are the same server.
///
/// Every statement is recorded in the log, as `database: STATEMENT`, and the end of a session as `database: close`.
#[derive(Clone)]
pub struct SimulatedMariaDb {
    state: Arc<Mutex<State>>,
    log: CallLog,
}

struct State {
    sessions: u64,
    statements: usize,
    round_trips: usize,
    locked_by: Option<u64>,
    position: u64,
    faults: Vec<(When, Outcome)>,
    unreachable: bool,
}

enum When {
    Nth(usize),
    Begins(String),
}

impl SimulatedMariaDb {
    /// A server that writes to `log`.
    pub fn new(log: CallLog) -> Self {
        let state = State {
            sessions: 0,
            statements: 0,
            round_trips: 0,
            locked_by: None,
            position: 330,
            faults: Vec::new(),
            unreachable: false,
        };
        Self { state: Arc::new(Mutex::new(state)), log }
    }

    /// The statement number `nth` of all that are sent, counted from 1, comes to this instead.
    pub fn fails_at_statement(self, nth: usize, outcome: Outcome) -> Self {
        self.state().faults.push((When::Nth(nth), outcome));
        self
    }

    /// The first statement that begins so comes to this instead.
    pub fn fails_at(self, beginning: &str, outcome: Outcome) -> Self {
        self.state().faults.push((When::Begins(beginning.to_owned()), outcome));
        self
    }

    /// Nobody listens.
    pub fn unreachable(self) -> Self {
        self.state().unreachable = true;
        self
    }

    /// Whether a session holds the lock now.
    pub fn is_locked(&self) -> bool {
        self.state().locked_by.is_some()
    }

    /// How many statements were sent so far.
    pub fn statements(&self) -> usize {
        self.state().statements
    }

    /// How many round trips they took.
    pub fn round_trips(&self) -> usize {
        self.state().round_trips
    }

    /// The server ends the session that holds the lock, as its `wait_timeout` would.
    pub fn expire_lock(&self) {
        self.state().locked_by = None;
    }

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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn answer(&self, id: u64, statement: &str) -> Rows {
        let mut state = self.state();
        let one = |column: &str, value: &str| Rows::of(&[column], &[&[Some(value)]]);
        match statement {
            "SELECT CONNECTION_ID()" => return one("CONNECTION_ID()", &id.to_string()),
            "SHOW MASTER STATUS" => {
                let position = state.position.to_string();
                let row: &[Option<&str>] = &[Some("binlog.000001"), Some(&position), Some(""), Some("")];
                return Rows::of(&["File", "Position", "Binlog_Do_DB", "Binlog_Ignore_DB"], &[row]);
            }
            "SELECT @@GLOBAL.gtid_binlog_pos AS gtid" => return one("gtid", "0-1-7"),
            "BACKUP STAGE BLOCK_COMMIT" => state.locked_by = Some(id),
            "BACKUP STAGE END" => state.locked_by = None,
            "BACKUP STAGE START" => {}
            _ if statement.starts_with("SET SESSION ") => {}
            _ if statement.starts_with("SHOW GLOBAL VARIABLES") => {
                let variables: [&[Option<&str>]; 5] = [
                    &[Some("version"), Some("10.11.19-MariaDB-log")],
                    &[Some("version_comment"), Some("simulated")],
                    &[Some("hostname"), Some("guest")],
                    &[Some("datadir"), Some("/var/lib/mysql/")],
                    &[Some("log_bin"), Some("ON")],
                ];
                return Rows::of(&["Variable_name", "Value"], &variables);
            }
            _ if statement.starts_with("SELECT COUNT(*) FROM (SELECT 1 FROM information_schema.TABLES") => {
                return one("COUNT(*)", "0");
            }
            // Whoever kept the lock from being granted is gone again.
            _ if statement.contains("information_schema.") || statement.contains("performance_schema.") => {}
            other => panic!("the simulated MariaDB does not know `{other}`"),
        }
        Rows::default()
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
}

impl Session {
    async fn take(&mut self, Timed { statement, deadline, .. }: &Timed) -> Result<Rows, DatabaseError> {
        if !std::mem::replace(&mut self.usable, false) {
            return Err(DatabaseError::Closed { statement: Statement::new(statement) });
        }
        self.server.log.record(format!("database: {statement}"));
        let expired = self.held_lock && self.server.state().locked_by != Some(self.id);
        let outcome = match self.server.fault(statement) {
            Some(fault) => fault.play(statement, *deadline).await,
            None if expired => Outcome::LosesSession.play(statement, *deadline).await,
            None => Ok(self.server.answer(self.id, statement)),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::database::{
        lock::{LockLost, LockTerms, TablesLock},
        scripted::{ScriptedDatabase, expect},
        server::{Server, identify},
    };

    const SOON: Duration = Duration::from_millis(200);
    const TERMS: LockTerms = LockTerms { lock_deadline: SOON, expiry: SOON, statement_deadline: SOON };

    async fn described(server: &SimulatedMariaDb) -> Server {
        identify(&mut *server.opener()(SOON).await.unwrap(), SOON).await.unwrap()
    }

    #[tokio::test]
    async fn whatever_statement_fails_nothing_stays_locked() {
        // Two of them identify; the others lock, prove and unlock.
        for nth in 3..=20 {
            for fault in [Outcome::Refuses(1205, "late".to_owned()), Outcome::Hangs, Outcome::LosesSession] {
                let server = SimulatedMariaDb::new(CallLog::new());
                let description = described(&server).await;
                let server = server.fails_at_statement(nth, fault);
                if let Ok(mut lock) = TablesLock::take(&server.opener(), &description, &TERMS).await {
                    assert!(server.is_locked());
                    lock.still_held(SOON).await.ok();
                    lock.unlock(SOON).await.ok();
                }
                assert!(!server.is_locked(), "statement {nth}");
            }
        }
    }

    #[tokio::test]
    async fn the_statements_of_a_lock_come_in_this_order() {
        let log = CallLog::new();
        let server = SimulatedMariaDb::new(log.clone());
        let description = described(&server).await;
        let before = log.entries().len();
        let lock = TablesLock::take(&server.opener(), &description, &TERMS).await.unwrap();
        assert_eq!(lock.coordinates().map(|it| (it.position, it.gtid.as_deref())), Some((330, Some("0-1-7"))));
        lock.unlock(SOON).await.unwrap();
        assert_eq!(
            log.entries()[before..],
            [
                "database: SELECT CONNECTION_ID()",
                "database: SET SESSION lock_wait_timeout = 1, SESSION wait_timeout = 1",
                "database: BACKUP STAGE START",
                "database: BACKUP STAGE BLOCK_COMMIT",
                "database: SHOW MASTER STATUS",
                "database: SELECT @@GLOBAL.gtid_binlog_pos AS gtid",
                "database: BACKUP STAGE END",
                "database: close",
            ]
        );
    }

    #[tokio::test]
    async fn a_lock_that_is_given_up_while_it_is_waited_for_has_closed_its_session() {
        let log = CallLog::new();
        let server = SimulatedMariaDb::new(log.clone());
        let description = described(&server).await;
        let waits = server.statements() + 4;
        let server = server.fails_at_statement(waits, Outcome::Hangs);
        let asked = async {
            while !log.entries().iter().any(|entry| entry.contains("BLOCK_COMMIT")) {
                tokio::task::yield_now().await;
            }
        };
        let patient = LockTerms { lock_deadline: Duration::from_secs(3600), ..TERMS };
        assert!(
            TablesLock::take_unless(
                &server.opener(),
                crate::database::lock_method::LockMethod::BackupStage,
                &description,
                &patient,
                asked
            )
            .await
            .unwrap()
            .is_none()
        );
        assert_eq!(log.entries().last().map(String::as_str), Some("database: close"));
        assert!(!server.is_locked());
    }

    #[tokio::test]
    async fn a_lock_that_expired_is_not_held() {
        let server = SimulatedMariaDb::new(CallLog::new());
        let mut lock = TablesLock::take(&server.opener(), &described(&server).await, &TERMS).await.unwrap();
        server.expire_lock();
        assert!(matches!(lock.still_held(SOON).await, Err(LockLost::Session(_))));
    }

    #[tokio::test]
    #[should_panic(expected = "was not finished")]
    async fn script_that_is_left_over_fails() {
        drop(ScriptedDatabase::new(CallLog::new(), [expect("SELECT 1")]));
    }

    #[tokio::test]
    async fn a_refused_count_of_tables_does_not_keep_a_server_from_being_identified() {
        let variables: [&[Option<&str>]; 2] = [&[Some("version"), Some("8.4.3")], &[Some("datadir"), Some("/d/")]];
        let script = [
            expect("SHOW GLOBAL VARIABLES").returns(&["Variable_name", "Value"], &variables),
            expect("SELECT COUNT(*)").refuses(1142, "denied"),
        ];
        let found = identify(&mut ScriptedDatabase::new(CallLog::new(), script), SOON).await.unwrap();
        assert_eq!(found.non_transactional_tables, None);
    }
}
