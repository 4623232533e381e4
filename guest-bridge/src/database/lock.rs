//! Hold the writers still: take the lock, prove that it is still held, give it back.

use std::time::{Duration, Instant};

use super::{
    Database, DatabaseError, OpenSession, Statement, holder,
    lock_method::LockMethod,
    milliseconds,
    server::{self, Coordinates, Server},
};

/// How long to wait and how long to hold. Written as whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LockTerms {
    /// How long the server may take to grant the lock. While it waits, later writers may queue behind it. Rounded up to seconds.
    #[serde(rename = "lock_deadline_ms", with = "milliseconds")]
    pub lock_deadline: Duration,
    /// How long the lock may outlive a coordinator that vanished: the session's `wait_timeout`, rounded up to seconds. Longer than
    /// the window may take, or the lock runs out inside it.
    #[serde(rename = "expiry_ms", with = "milliseconds")]
    pub expiry: Duration,
    /// How long every other statement may take.
    #[serde(rename = "statement_deadline_ms", with = "milliseconds")]
    pub statement_deadline: Duration,
}

/// The writers of one server are held still for as long as this value lives. Dropping it closes the session, which frees the lock.
#[must_use = "dropping it frees the lock at once"]
pub struct TablesLock {
    session: Box<dyn Database>,
    connection_id: u64,
    method: LockMethod,
    coordinates: Option<Coordinates>,
    waited: Duration,
    taken_at: Instant,
}

/// What a session that holds the lock knows of it.
struct Held {
    connection_id: u64,
    coordinates: Option<Coordinates>,
    taken_at: Instant,
}

/// Why a lock cannot be said to have held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockLost {
    /// The session does not answer any more, and its locks went with it.
    #[error("the session that held the lock is gone: {0}")]
    Session(#[from] DatabaseError),
    /// Another session answers than the one that took the lock.
    #[error("the lock was taken by connection {taken_by}, but connection {now} answers: the client has reconnected")]
    Reconnected {
        /// The connection that took the lock.
        taken_by: u64,
        /// The one that answers.
        now: u64,
    },
}

impl TablesLock {
    /// Opens a session, takes the lock that fits `server`, and notes where the binlog stands. Whatever fails on the way, or if this
    /// future is dropped: the session is closed, and nothing stays locked.
    ///
    /// # Errors
    /// [`DatabaseError::LockNotGranted`] where the deadline passes, naming who held it; else those of the session.
    pub async fn take(open: &OpenSession, server: &Server, terms: &LockTerms) -> Result<Self, DatabaseError> {
        let method = LockMethod::choose(server).method;
        let lock = Self::take_unless(open, method, server, terms, std::future::pending()).await?;
        lock.ok_or_else(|| DatabaseError::Closed { statement: Statement::new("the lock") })
    }

    /// The same with the lock of `method`, given up when `stopped` ends before the lock is granted. `None` says so, and that the session is closed: dropping
    /// this future would leave that to a task which nobody waits for.
    ///
    /// # Errors
    /// Those of [`TablesLock::take`].
    pub async fn take_unless(
        open: &OpenSession,
        method: LockMethod,
        server: &Server,
        terms: &LockTerms,
        stopped: impl Future<Output = ()>,
    ) -> Result<Option<Self>, DatabaseError> {
        let started = Instant::now();
        let mut session = open(terms.statement_deadline).await?;
        let held = tokio::select! {
            held = Self::hold(&mut *session, server, method, terms) => held,
            () = stopped => {
                session.close().await;
                return Ok(None);
            }
        };
        match held {
            Ok(Held { connection_id, coordinates, taken_at }) => Ok(Some(Self {
                session,
                connection_id,
                method,
                coordinates,
                waited: taken_at.duration_since(started),
                taken_at,
            })),
            Err((error, connection_id)) => {
                let diagnosis = match is_lock_timeout(&error) {
                    true => Some(holder::find(open, connection_id, terms.statement_deadline).await),
                    false => None,
                };
                session.close().await;
                Err(match diagnosis {
                    None => error,
                    Some(found) => {
                        let (holders, failed) = match found {
                            Ok(holders) => (holders, None),
                            Err(error) => (Vec::new(), Some(Box::new(error))),
                        };
                        DatabaseError::LockNotGranted {
                            method,
                            deadline: terms.lock_deadline,
                            holders,
                            diagnosis_failed: failed,
                        }
                    }
                })
            }
        }
    }

    async fn hold(
        session: &mut dyn Database,
        server: &Server,
        method: LockMethod,
        terms: &LockTerms,
    ) -> Result<Held, (DatabaseError, Option<u64>)> {
        let connection_id = connection_id(session, terms.statement_deadline).await.map_err(|error| (error, None))?;
        let with_id = |error| (error, Some(connection_id));
        // The defaults are a day for the lock and eight hours for the session.
        let bounds = format!(
            "SET SESSION lock_wait_timeout = {}, SESSION wait_timeout = {}",
            whole_seconds(terms.lock_deadline),
            whole_seconds(terms.expiry)
        );
        session.query(&bounds, terms.statement_deadline).await.map_err(with_id)?;
        let begun = Instant::now();
        for statement in lock_statements(method) {
            // The server's own timeout comes first: it leaves a session that can say more. But it counts for each statement, and for
            // each stage of one, and the deadline for all of them.
            let left = terms.lock_deadline.saturating_sub(begun.elapsed());
            session.query(statement, left + LATER_THAN_THE_SERVER).await.map_err(with_id)?;
        }
        let taken_at = Instant::now();
        let coordinates = server::coordinates(session, server, terms.statement_deadline).await.map_err(with_id)?;
        Ok(Held { connection_id, coordinates, taken_at })
    }

    /// The lock that is held.
    pub fn method(&self) -> LockMethod {
        self.method
    }

    /// Where the binlog stood when the lock was granted; `None` where the server writes none.
    pub fn coordinates(&self) -> Option<&Coordinates> {
        self.coordinates.as_ref()
    }

    /// The server's id of the session that holds the lock.
    pub fn connection_id(&self) -> u64 {
        self.connection_id
    }

    /// How long opening the session and getting the lock took.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// When the lock was granted.
    pub fn taken_at(&self) -> Instant {
        self.taken_at
    }

    /// Proves, after the snapshot, that the lock was held all the time: the same connection answers (a server frees these locks only on
    /// request or with the connection). One statement and no more: the writers are waiting.
    ///
    /// # Errors
    /// [`LockLost`] says why it cannot be proven.
    pub async fn still_held(&mut self, deadline: Duration) -> Result<(), LockLost> {
        let now = connection_id(&mut *self.session, deadline).await?;
        if now != self.connection_id {
            return Err(LockLost::Reconnected { taken_by: self.connection_id, now });
        }
        Ok(())
    }

    /// Gives the lock back and closes the session, which gives it back in any case. Gives how long it was held: to the answer to the
    /// unlock, not to the end of the session.
    ///
    /// # Errors
    /// What the server answered to the unlock; the session is closed all the same.
    pub async fn unlock(mut self, deadline: Duration) -> Result<Duration, DatabaseError> {
        let mut outcome = Ok(Duration::ZERO);
        for statement in unlock_statements(self.method) {
            outcome = self.session.query(statement, deadline).await.map(|_| self.taken_at.elapsed());
            if outcome.is_err() {
                break;
            }
        }
        self.session.close().await;
        outcome
    }
}

/// How much later than the server the client gives up waiting for a lock.
const LATER_THAN_THE_SERVER: Duration = Duration::from_secs(2);

/// `ER_LOCK_WAIT_TIMEOUT`.
const LOCK_WAIT_TIMEOUT: u16 = 1205;

fn is_lock_timeout(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::Server { code, .. } => *code == LOCK_WAIT_TIMEOUT,
        DatabaseError::TimedOut { .. } => true,
        _ => false,
    }
}

fn lock_statements(method: LockMethod) -> &'static [&'static str] {
    match method {
        // START waits for other backups; BLOCK_COMMIT passes through FLUSH and BLOCK_DDL by itself. From here commits, writes to
        // non-transactional tables and DDL wait; uncommitted InnoDB writes go on, and InnoDB's recovery rolls them back in a copy.
        LockMethod::BackupStage => &["BACKUP STAGE START", "BACKUP STAGE BLOCK_COMMIT"],
        // The first stops non-transactional writes and DDL, the second everything that would write to the binlog: commits.
        LockMethod::PerconaBackupLocks => &["LOCK TABLES FOR BACKUP", "LOCK BINLOG FOR BACKUP"],
        // Waits for every running statement, and new writers queue behind it: hence the deadline.
        LockMethod::FlushTablesWithReadLock => &["FLUSH TABLES WITH READ LOCK"],
    }
}

fn unlock_statements(method: LockMethod) -> &'static [&'static str] {
    match method {
        LockMethod::BackupStage => &["BACKUP STAGE END"],
        LockMethod::PerconaBackupLocks => &["UNLOCK BINLOG", "UNLOCK TABLES"],
        LockMethod::FlushTablesWithReadLock => &["UNLOCK TABLES"],
    }
}

async fn connection_id(session: &mut dyn Database, deadline: Duration) -> Result<u64, DatabaseError> {
    const STATEMENT: &str = "SELECT CONNECTION_ID()";
    session.query(STATEMENT, deadline).await?.number(STATEMENT)
}

/// Both variables count seconds, and 0 would mean the shortest possible, not "none".
fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).clamp(1, 31_536_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_as_they_were_written_in_milliseconds() {
        let terms = LockTerms {
            lock_deadline: Duration::from_secs(30),
            expiry: Duration::from_millis(45_500),
            statement_deadline: Duration::from_secs(5),
        };
        let json = r#"{"lock_deadline_ms":30000,"expiry_ms":45500,"statement_deadline_ms":5000}"#;
        assert_eq!(serde_json::to_string(&terms).unwrap(), json);
        assert_eq!(serde_json::from_str::<LockTerms>(json).unwrap(), terms);
    }
}
