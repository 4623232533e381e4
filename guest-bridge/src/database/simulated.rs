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
    flush_log_at_trx_commit: u8,
    grants: String,
    log_bin: bool,
    source: Option<String>,
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
            position: 1423,
            flush_log_at_trx_commit: 1,
            grants: "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`".to_owned(),
            log_bin: true,
            source: None,
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

    /// Its `innodb_flush_log_at_trx_commit` is this.
    pub fn with_flush_log_at_trx_commit(self, value: u8) -> Self {
        self.state().flush_log_at_trx_commit = value;
        self
    }

    /// `SHOW GRANTS` says this of the account.
    pub fn with_grants(self, grants: &str) -> Self {
        grants.clone_into(&mut self.state().grants);
        self
    }

    /// It writes no binlog.
    pub fn without_binlog(self) -> Self {
        self.state().log_bin = false;
        self
    }

    /// It replicates from the host `source`, on one channel that has no name.
    pub fn replicating_from(self, source: &str) -> Self {
        self.state().source = Some(source.to_owned());
        self
    }

    /// What its `innodb_flush_log_at_trx_commit` is.
    pub fn flush_log_at_trx_commit(&self) -> u8 {
        self.state().flush_log_at_trx_commit
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
            "SHOW ALL SLAVES STATUS" => {
                let columns =
                    ["Master_Host", "Master_Port", "Relay_Master_Log_File", "Exec_Master_Log_Pos", "Gtid_Slave_Pos"];
                let position = state.position.to_string();
                let row = state.source.as_deref().map(|source| {
                    [Some(source), Some("3306"), Some("source.000001"), Some(position.as_str()), Some("0-2-5")]
                });
                return Rows::of(&columns, row.as_ref().map(|row| &row[..]).as_slice());
            }
            _ if statement.starts_with("SELECT @@GLOBAL.gtid_slave_pos") => {
                let gtids = [state.source.as_ref().map_or("", |_| "0-2-5"), "0-1-7"].map(Some);
                return Rows::of(&["gtid_slave_pos", "gtid_current_pos"], &[&gtids]);
            }
            _ if statement.starts_with("SHOW GLOBAL STATUS") => {
                return Rows::of(&["Variable_name", "Value"], &[&[Some("Innodb_lsn_current"), Some("48214")]]);
            }
            "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit" => {
                return one("value", &state.flush_log_at_trx_commit.to_string());
            }
            "SET GLOBAL innodb_flush_log_at_trx_commit = 0" => state.flush_log_at_trx_commit = 0,
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1" => state.flush_log_at_trx_commit = 1,
            "FLUSH LOCAL ENGINE LOGS" | "SET @stillpoint_asked = NOW(6)" => {}
            "SELECT TIMESTAMPDIFF(MICROSECOND, @stillpoint_asked, NOW(6))" => return one("waited", "700"),
            "SELECT CURRENT_USER()" => return one("CURRENT_USER()", "root@localhost"),
            "SHOW GRANTS" => return one("Grants", &state.grants),
            "BACKUP STAGE BLOCK_COMMIT" => state.locked_by = Some(id),
            "BACKUP STAGE END" => state.locked_by = None,
            "BACKUP STAGE START" => {}
            _ if statement.starts_with("SET SESSION ") => {}
            _ if statement.starts_with("SHOW GLOBAL VARIABLES") => {
                let flush_log = state.flush_log_at_trx_commit.to_string();
                let variables: [&[Option<&str>]; 9] = [
                    &[Some("version"), Some("10.11.19-MariaDB-log")],
                    &[Some("version_comment"), Some("simulated")],
                    &[Some("hostname"), Some("guest")],
                    &[Some("datadir"), Some("/var/lib/mysql/")],
                    &[Some("log_bin"), Some(if state.log_bin { "ON" } else { "OFF" })],
                    &[Some("log_bin_basename"), Some(if state.log_bin { "/var/lib/mysql/binlog" } else { "" })],
                    &[Some("innodb_flush_log_at_trx_commit"), Some(&flush_log)],
                    &[Some("sync_binlog"), Some("1")],
                    &[Some("innodb_doublewrite"), Some("ON")],
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
        engine_logs::EngineLogs,
        lock::{LetGo, LockLost, LockTerms, TablesLock},
        lock_method::LockMethod,
        scripted::{ScriptedDatabase, expect},
        server::{LsnBounds, Server, identify},
    };

    const SOON: Duration = Duration::from_millis(200);
    const TERMS: LockTerms = LockTerms { lock_deadline: SOON, expiry: SOON, statement_deadline: SOON };

    async fn described(server: &SimulatedMariaDb) -> Server {
        identify(&mut *server.opener()(SOON).await.unwrap(), SOON).await.unwrap()
    }

    async fn unlock(mut lock: TablesLock) -> LetGo {
        let ended = lock.let_go(SOON).await;
        lock.close().await;
        ended
    }

    fn faults() -> [Outcome; 3] {
        [Outcome::Refuses(1205, "late".to_owned()), Outcome::Hangs, Outcome::LosesSession]
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_statement_fails_nothing_stays_locked_or_changed() {
        for value in [0, 1] {
            let identifying = {
                let server = SimulatedMariaDb::new(CallLog::new());
                described(&server).await;
                server.statements()
            };
            for nth in identifying + 1..=identifying + 22 {
                for fault in faults() {
                    let server = SimulatedMariaDb::new(CallLog::new()).with_flush_log_at_trx_commit(value);
                    let description = described(&server).await;
                    let server = server.fails_at_statement(nth, fault);
                    if let Ok(lock) = TablesLock::take(&server.opener(), &description, &TERMS).await {
                        assert!(server.is_locked());
                        unlock(lock).await;
                    }
                    assert!(!server.is_locked(), "statement {nth}");
                    assert_eq!(server.flush_log_at_trx_commit(), value, "statement {nth}");
                }
            }
        }
    }

    /// What is sent once `server` is known.
    async fn statements_of_a_lock(server: &SimulatedMariaDb) -> Vec<String> {
        let description = described(server).await;
        let before = server.log.entries().len();
        let lock = TablesLock::take(&server.opener(), &description, &TERMS).await.unwrap();
        assert_eq!(*lock.engine_logs(), EngineLogs::Flushed);
        assert_eq!(lock.coordinates().map(|it| (it.position, it.gtid.as_deref())), Some((1423, Some("0-1-7"))));
        unlock(lock).await.held.unwrap();
        server.log.entries()[before..].iter().map(|entry| entry.replace("database: ", "")).collect()
    }

    #[tokio::test]
    async fn the_statements_of_a_lock_come_in_this_order() {
        let server = SimulatedMariaDb::new(CallLog::new());
        assert_eq!(
            statements_of_a_lock(&server).await,
            [
                "SET SESSION max_statement_time = 0",
                "SET SESSION max_execution_time = 0",
                "SET SESSION sql_select_limit = 18446744073709551615",
                "SET SESSION lock_wait_timeout = 1, SESSION wait_timeout = 1",
                "SELECT CONNECTION_ID()",
                "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit",
                "SET @stillpoint_asked = NOW(6)",
                "BACKUP STAGE START",
                "BACKUP STAGE BLOCK_COMMIT",
                "SELECT TIMESTAMPDIFF(MICROSECOND, @stillpoint_asked, NOW(6))",
                "FLUSH LOCAL ENGINE LOGS",
                "SHOW MASTER STATUS",
                "SELECT @@GLOBAL.gtid_binlog_pos AS gtid",
                "SELECT CONNECTION_ID()",
                "BACKUP STAGE END",
                "close",
            ]
        );
    }

    #[tokio::test]
    async fn the_writers_wait_for_two_round_trips_and_no_more() {
        let server = SimulatedMariaDb::new(CallLog::new());
        let description = described(&server).await;
        let before = server.round_trips();
        let lock = TablesLock::take(&server.opener(), &description, &TERMS).await.unwrap();
        // The first bounds the session, and nobody waits for it.
        assert_eq!(server.round_trips() - before, 2);
        unlock(lock).await.held.unwrap();
        assert_eq!(server.round_trips() - before, 3);
    }

    #[tokio::test]
    async fn a_log_that_is_not_flushed_at_0_is_flushed_at_1_and_the_setting_is_0_again_before_the_unlock() {
        let server = SimulatedMariaDb::new(CallLog::new()).with_flush_log_at_trx_commit(0);
        let statements = statements_of_a_lock(&server).await;
        let lock = statements.iter().position(|it| it == "BACKUP STAGE BLOCK_COMMIT").unwrap();
        assert_eq!(
            statements[lock + 2..lock + 6],
            [
                "SET GLOBAL innodb_flush_log_at_trx_commit = 1",
                "FLUSH LOCAL ENGINE LOGS",
                "SET GLOBAL innodb_flush_log_at_trx_commit = 0",
                "SHOW MASTER STATUS",
            ]
        );
        assert_eq!(server.flush_log_at_trx_commit(), 0);
    }

    #[tokio::test]
    async fn engine_logs_that_the_server_refuses_to_flush_are_a_reason_and_no_failure() {
        let refused = || Outcome::Refuses(1227, "Access denied; you need RELOAD".to_owned());
        for (value, statement) in [
            (1, "FLUSH LOCAL ENGINE LOGS"),
            (0, "FLUSH LOCAL ENGINE LOGS"),
            (0, "SET GLOBAL innodb_flush_log_at_trx_commit = 1"),
        ] {
            let server = SimulatedMariaDb::new(CallLog::new()).with_flush_log_at_trx_commit(value);
            let description = described(&server).await;
            let server = server.fails_at(statement, refused());
            let lock = TablesLock::take(&server.opener(), &description, &TERMS).await.unwrap();
            let EngineLogs::NotFlushed { reason } = lock.engine_logs() else { panic!("{statement}") };
            for word in ["MariaDB 10.11.19", &format!("innodb_flush_log_at_trx_commit = {value}"), statement, "RELOAD"]
            {
                assert!(reason.contains(word), "{reason}");
            }
            assert!(lock.coordinates().is_some());
            unlock(lock).await.held.unwrap();
            assert_eq!(server.flush_log_at_trx_commit(), value);
        }
    }

    #[tokio::test]
    async fn a_setting_that_cannot_be_put_back_is_said_with_the_statement_that_does_it() {
        for (first, second) in [(faults()[0].clone(), faults()[1].clone()), (faults()[2].clone(), faults()[0].clone())]
        {
            let server = SimulatedMariaDb::new(CallLog::new()).with_flush_log_at_trx_commit(0);
            let description = described(&server).await;
            let put_back = "SET GLOBAL innodb_flush_log_at_trx_commit = 0";
            let server = server.fails_at(put_back, first).fails_at(put_back, second);
            let error = TablesLock::take(&server.opener(), &description, &TERMS).await.err().unwrap();
            assert!(
                matches!(&error, DatabaseError::NotPutBack { statement, .. } if statement == put_back),
                "{error:?}"
            );
            assert!(error.to_string().contains(put_back), "{error}");
            assert!(!server.is_locked());
        }
    }

    #[tokio::test]
    async fn the_statement_that_the_lock_was_waited_for_at_is_named() {
        for (statement, code) in [("BACKUP STAGE START", 1205), ("BACKUP STAGE BLOCK_COMMIT", 1969)] {
            let server = SimulatedMariaDb::new(CallLog::new());
            let description = described(&server).await;
            let server = server.fails_at(statement, Outcome::Refuses(code, "too late".to_owned()));
            let error = TablesLock::take(&server.opener(), &description, &TERMS).await.err().unwrap();
            assert!(matches!(error, DatabaseError::LockNotGranted { .. }), "{error:?}");
            assert!(error.to_string().contains(statement), "{error}");
        }
    }

    #[tokio::test]
    async fn engine_logs_that_take_too_long_are_no_lock_that_was_not_granted() {
        let server = SimulatedMariaDb::new(CallLog::new());
        let description = described(&server).await;
        let server = server.fails_at("FLUSH LOCAL", Outcome::Hangs);
        let error = TablesLock::take(&server.opener(), &description, &TERMS).await.err().unwrap();
        assert!(
            matches!(&error, DatabaseError::TimedOut { statement, .. } if statement.to_string().contains("FLUSH LOCAL"))
        );
    }

    #[tokio::test]
    async fn a_lock_that_is_given_up_while_it_is_waited_for_has_closed_its_session() {
        let log = CallLog::new();
        let server = SimulatedMariaDb::new(log.clone());
        let description = described(&server).await;
        let server = server.fails_at("BACKUP STAGE BLOCK_COMMIT", Outcome::Hangs);
        let asked = async {
            while !log.entries().iter().any(|entry| entry.contains("BLOCK_COMMIT")) {
                tokio::task::yield_now().await;
            }
        };
        let patient = LockTerms { lock_deadline: Duration::from_secs(3600), ..TERMS };
        assert!(
            TablesLock::take_unless(&server.opener(), LockMethod::BackupStage, &description, &patient, asked)
                .await
                .unwrap()
                .is_none()
        );
        assert_eq!(log.entries().last().map(String::as_str), Some("database: close"));
        assert!(!server.is_locked());
    }

    #[tokio::test]
    async fn a_lock_that_is_given_up_leaves_the_setting_as_it_was() {
        let log = CallLog::new();
        let server = SimulatedMariaDb::new(log.clone()).with_flush_log_at_trx_commit(0);
        let description = described(&server).await;
        let server = server.fails_at("FLUSH LOCAL", Outcome::Hangs);
        let asked = async {
            while !log.entries().iter().any(|entry| entry.contains("FLUSH LOCAL")) {
                tokio::task::yield_now().await;
            }
        };
        let patient = LockTerms { statement_deadline: Duration::from_secs(3600), ..TERMS };
        let method = LockMethod::choose(&description).method;
        let taken = TablesLock::take_unless(&server.opener(), method, &description, &patient, asked).await.unwrap();
        assert!(taken.is_none());
        assert_eq!((server.is_locked(), server.flush_log_at_trx_commit()), (false, 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lock_that_nobody_waits_for_any_more_leaves_the_setting_as_it_was() {
        let server = SimulatedMariaDb::new(CallLog::new()).with_flush_log_at_trx_commit(0);
        let description = described(&server).await;
        let server = server.fails_at("FLUSH LOCAL", Outcome::Hangs);
        let patient = LockTerms { statement_deadline: Duration::from_secs(3600), ..TERMS };
        let open = server.opener();
        let taking = TablesLock::take(&open, &description, &patient);
        assert!(tokio::time::timeout(SOON, taking).await.is_err());
        assert_eq!((server.is_locked(), server.flush_log_at_trx_commit()), (false, 0));
    }

    #[tokio::test]
    async fn a_lock_that_expired_is_not_held() {
        let server = SimulatedMariaDb::new(CallLog::new());
        let lock = TablesLock::take(&server.opener(), &described(&server).await, &TERMS).await.unwrap();
        server.expire_lock();
        assert!(matches!(unlock(lock).await.held, Err(LockLost::Session(_))));
    }

    #[tokio::test]
    async fn a_session_that_reconnected_does_not_pass_for_a_held_lock() {
        let server = SimulatedMariaDb::new(CallLog::new());
        let lock = TablesLock::take(&server.opener(), &described(&server).await, &TERMS).await.unwrap();
        let another = Rows::of(&["CONNECTION_ID()"], &[&[Some("77")]]);
        server.clone().fails_at("SELECT CONNECTION_ID()", Outcome::Returns(another));
        assert!(matches!(unlock(lock).await.held, Err(LockLost::Reconnected { now: 77, .. })));
    }

    #[tokio::test]
    #[should_panic(expected = "was not finished")]
    async fn script_that_is_left_over_fails() {
        drop(ScriptedDatabase::new(CallLog::new(), [expect("SELECT 1")]));
    }

    #[tokio::test]
    async fn tables_are_counted_only_for_an_account_that_sees_them_all() {
        for (grants, count) in [
            ("GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO `a`@`b`", None),
            ("GRANT SELECT, RELOAD ON *.* TO `a`@`b`", Some(0)),
        ] {
            let server = SimulatedMariaDb::new(CallLog::new()).with_grants(grants);
            assert_eq!(described(&server).await.non_transactional_tables, count, "{grants}");
        }
    }

    #[tokio::test]
    async fn a_refused_count_of_tables_does_not_keep_a_server_from_being_identified() {
        let variables: [&[Option<&str>]; 2] = [&[Some("version"), Some("8.4.3")], &[Some("datadir"), Some("/d/")]];
        let script = [
            expect("SET SESSION max_statement_time = 0").refuses(1193, "unknown"),
            expect("SET SESSION max_execution_time = 0"),
            expect("SET SESSION sql_select_limit"),
            expect("SHOW GLOBAL VARIABLES").returns(&["Variable_name", "Value"], &variables),
            expect("SHOW GRANTS"),
            expect("SELECT COUNT(*)").refuses(1142, "denied"),
            expect("SELECT DISTINCT LEFT(FILE_NAME").refuses(1227, "denied"),
            expect("SHOW REPLICA STATUS").refuses(1227, "denied"),
        ];
        let found = identify(&mut ScriptedDatabase::new(CallLog::new(), script), SOON).await.unwrap();
        assert_eq!(found.non_transactional_tables, None);
        assert_eq!((found.table_directories_seen, found.replicates), (Some(false), None));
    }

    #[tokio::test]
    async fn a_replica_tells_under_the_lock_how_far_it_is() {
        let server = SimulatedMariaDb::new(CallLog::new()).replicating_from("db1");
        let statements = statements_of_a_lock(&server).await;
        let coordinates = statements.iter().position(|it| it == "SHOW MASTER STATUS").unwrap();
        assert_eq!(statements[coordinates + 2], "SHOW ALL SLAVES STATUS");
        let lock = TablesLock::take(&server.opener(), &described(&server).await, &TERMS).await.unwrap();
        let replicates = lock.replicates().unwrap();
        let channel = &replicates.channels[0];
        assert_eq!((channel.source.as_str(), channel.source_log_position), ("db1:3306", Some(1423)));
        assert_eq!(replicates.gtid_slave_pos.as_deref(), Some("0-2-5"));
        unlock(lock).await.held.unwrap();
    }

    #[tokio::test]
    async fn a_server_without_a_binlog_tells_where_its_engine_stands_from_lock_to_unlock() {
        let server = SimulatedMariaDb::new(CallLog::new()).without_binlog();
        let lock = TablesLock::take(&server.opener(), &described(&server).await, &TERMS).await.unwrap();
        assert_eq!(lock.lsn(), Some(LsnBounds { lock: 48214, unlock: None }));
        let ended = unlock(lock).await;
        assert_eq!(ended.lsn, Some(LsnBounds { lock: 48214, unlock: Some(48214) }));
        ended.unlocked.unwrap();
        ended.held.unwrap();
    }

    #[tokio::test]
    async fn an_engine_that_does_not_tell_where_it_stands_is_unlocked_all_the_same() {
        let server = SimulatedMariaDb::new(CallLog::new()).without_binlog();
        let lock = TablesLock::take(&server.opener(), &described(&server).await, &TERMS).await.unwrap();
        let server = server.fails_at("SHOW GLOBAL STATUS", Outcome::Refuses(1227, "denied".to_owned()));
        let ended = unlock(lock).await;
        assert_eq!(ended.lsn, Some(LsnBounds { lock: 48214, unlock: None }));
        ended.unlocked.unwrap();
        assert!(!server.is_locked());
    }
}
