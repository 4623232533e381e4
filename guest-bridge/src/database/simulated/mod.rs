//! A MariaDB server that lives in memory: it answers what is asked of it here, knows whether it is locked, and fails on demand.

mod answers;
mod session;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::scripted::Outcome;
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
    /// What it is once the lock is there.
    position_after: Option<u64>,
    /// Somebody has begun to take the lock.
    is_measured: bool,
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
            position_after: None,
            is_measured: false,
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

    /// Its binlog stands here before it is locked, and `after`, where somebody asks once more.
    pub fn writing_from(self, before: u64, after: u64) -> Self {
        self.state().position = before;
        self.state().position_after = Some(after);
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
