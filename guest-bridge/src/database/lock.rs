//! Hold the writers still: take the lock, prove that it is still held, give it back.

use std::time::{Duration, Instant};

use super::{
    Database, DatabaseError, OpenSession, Statement, Timed, bounds,
    engine_logs::{Changed, EngineLogs, Flush},
    holder::{self, Holder},
    lock_method::{LockChoice, LockMethod, LockWish},
    milliseconds,
    server::{self, Coordinates, Flavour, GaleraState, LsnBounds, Replicates, Server},
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

/// The writers of one server are held still for as long as this value lives, where its method does that. Dropping it closes the
/// session, which frees the lock.
#[must_use = "dropping it frees the lock at once"]
pub struct TablesLock {
    session: Box<dyn Database>,
    method: LockMethod,
    held: Held,
    waited: Duration,
    went_without: Option<DatabaseError>,
}

/// What a session that holds the lock knows of it.
struct Held {
    connection_id: u64,
    coordinates: Option<Coordinates>,
    engine_logs: EngineLogs,
    replicates: Option<Replicates>,
    galera: Option<GaleraState>,
    lsn: Option<u64>,
    /// What asks for the latter.
    lsn_again: Option<Timed>,
    /// What asks for the coordinates, where they are others by the unlock.
    coordinates_again: Option<Server>,
    granted_at: Instant,
}

/// How a lock ended.
#[derive(Debug)]
pub struct LetGo {
    /// Whether it was held until then.
    pub held: Result<(), LockLost>,
    /// What the server answered to the unlock. Where it is an error, the end of the session is what frees the lock.
    pub unlocked: Result<(), DatabaseError>,
    /// The longest that a writer can have waited: from the grant, to the answer to the unlock.
    pub stall: Duration,
    /// Where InnoDB's log stood, of a server without a binlog.
    pub lsn: Option<LsnBounds>,
    /// Where the binlog stood then, where commits went on; `None` where it is not known, or they did not.
    pub coordinates: Option<Coordinates>,
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
    /// Opens a session, takes the lock that fits `server`, has the engines write their logs out, and notes where the server stands. Whatever fails on the way, or if this
    /// future is dropped: the session is closed, and nothing stays locked.
    ///
    /// # Errors
    /// [`DatabaseError::LockNotGranted`] where the deadline passes, naming who held it; else those of the session.
    pub async fn take(open: &OpenSession, server: &Server, terms: &LockTerms) -> Result<Self, DatabaseError> {
        let choice = LockMethod::choose(server, LockWish::Tables);
        let lock = Self::take_unless(open, &choice, server, terms, std::future::pending()).await?;
        lock.ok_or_else(|| DatabaseError::Closed { statement: Statement::new("the lock") })
    }

    /// The same with the lock that was chosen, given up when `stopped` ends before the lock is granted. `None` says so, and that the session is closed: dropping
    /// this future would leave that to a task which nobody waits for.
    ///
    /// # Errors
    /// Those of [`TablesLock::take`].
    pub async fn take_unless(
        open: &OpenSession,
        choice: &LockChoice,
        server: &Server,
        terms: &LockTerms,
        stopped: impl Future<Output = ()>,
    ) -> Result<Option<Self>, DatabaseError> {
        let mut stopped = std::pin::pin!(stopped);
        let wanted = Wanted { open, server, method: choice.method };
        match Self::take_one(wanted, terms, stopped.as_mut()).await {
            Err(error @ (DatabaseError::LockNotGranted { .. } | DatabaseError::InTheWay { .. })) if choice.or_none => {
                let without = Wanted { method: LockMethod::None, ..wanted };
                let lock = Self::take_one(without, terms, stopped).await?;
                Ok(lock.map(|lock| Self { went_without: Some(error), ..lock }))
            }
            taken => taken,
        }
    }

    async fn take_one(
        wanted @ Wanted { open, method, .. }: Wanted<'_>,
        terms: &LockTerms,
        stopped: impl Future<Output = ()>,
    ) -> Result<Option<Self>, DatabaseError> {
        let started = Instant::now();
        let mut session = open(terms.statement_deadline).await?;
        let mut changed = Changed::nothing(open);
        let held = tokio::select! {
            held = hold(&mut *session, wanted, terms, &mut changed) => held,
            () = stopped => {
                session.close().await;
                changed.settle().await?;
                return Ok(None);
            }
        };
        let failed = match held {
            Ok(held) => match changed.settle().await {
                Ok(()) => {
                    let waited = held.granted_at.duration_since(started);
                    return Ok(Some(Self { session, method, held, waited, went_without: None }));
                }
                Err(not_put_back) => not_put_back,
            },
            Err(NotHeld::Failed(error)) => error,
            Err(NotHeld::InTheWay(holders)) => {
                DatabaseError::InTheWay { method, deadline: terms.lock_deadline, holders }
            }
            Err(NotHeld::NotInTime { connection_id, statement }) => {
                let found = holder::find(open, Some(connection_id), statement, terms.statement_deadline).await;
                let (holders, failed) = match found {
                    Ok(holders) => (holders, None),
                    Err(error) => (Vec::new(), Some(Box::new(error))),
                };
                DatabaseError::LockNotGranted {
                    method,
                    statement: Statement::new(statement),
                    deadline: terms.lock_deadline,
                    holders,
                    diagnosis_failed: failed,
                }
            }
        };
        // First, so that it cannot change anything any more.
        session.close().await;
        changed.settle().await?;
        Err(failed)
    }

    /// Why it is not the lock that was chosen, and nothing waits.
    pub fn went_without(&self) -> Option<&DatabaseError> {
        self.went_without.as_ref()
    }

    /// The lock that is held.
    pub fn method(&self) -> LockMethod {
        self.method
    }

    /// Where the binlog stood when the lock was granted; `None` where the server writes none. Where commits go on, an image ends behind it.
    pub fn coordinates(&self) -> Option<&Coordinates> {
        self.held.coordinates.as_ref()
    }

    /// Whether all that was acknowledged was in the files then.
    pub fn engine_logs(&self) -> &EngineLogs {
        &self.held.engine_logs
    }

    /// How far the server was then with what it replicates; `None` where it is no replica, or refused to tell.
    pub fn replicates(&self) -> Option<&Replicates> {
        self.held.replicates.as_ref()
    }

    /// Where the node of a Galera cluster stood then; `None` where it is none, or did not tell.
    pub fn galera(&self) -> Option<&GaleraState> {
        self.held.galera.as_ref()
    }

    /// Where InnoDB's log stood then, of a server without a binlog. Where it stands at the unlock, [`LetGo`] tells.
    pub fn lsn(&self) -> Option<LsnBounds> {
        self.held.lsn.map(|lock| LsnBounds { lock, unlock: None })
    }

    /// The server's id of the session that holds the lock.
    pub fn connection_id(&self) -> u64 {
        self.held.connection_id
    }

    /// How long opening the session and getting the lock took.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Gives the lock back, and proves that it was held all the time until then: the same connection answers (a server frees these locks
    /// only on request or with the connection). One round trip: the writers are waiting. The session stays to be closed.
    pub async fn let_go(&mut self, deadline: Duration) -> LetGo {
        let unlock = self.method.unlock_statements();
        let lsn_again = self.held.lsn_again.as_ref().map(|asks| Timed { deadline, ..asks.clone() });
        let asks_lsn = lsn_again.is_some();
        let mut batch = vec![Timed::new(WHO_AM_I, deadline)];
        batch.extend(lsn_again);
        if let Some(server) = &self.held.coordinates_again {
            batch.extend(server::where_the_binlog_stands(server, deadline));
        }
        batch.extend(unlock.iter().map(|statement| Timed::new(*statement, deadline)));
        let mut answers = self.session.batch(&batch).await;
        let stall = self.held.granted_at.elapsed();
        let (held, unlocked) = match answers.next().and_then(|rows| rows.number(WHO_AM_I)) {
            Ok(now) if now == self.held.connection_id => (Ok(()), Ok(())),
            Ok(now) => (Err(LockLost::Reconnected { taken_by: self.held.connection_id, now }), Ok(())),
            Err(error) => (Err(error.into()), Ok(())),
        };
        // What it refuses is not known; what ended the session, the unlock says too.
        let lsn_now = if asks_lsn { server::read_lsn(&mut answers) } else { Ok(None) };
        let (lsn_now, unlocked) = match lsn_now {
            Ok(lsn) => (lsn, unlocked),
            Err(error) => (None, unlocked.and(Err(error))),
        };
        let coordinates = match self.held.coordinates_again.as_ref() {
            Some(server) => server::read_coordinates(server, &mut answers),
            None => Ok(None),
        };
        let (coordinates, unlocked) = match coordinates {
            Ok(coordinates) => (coordinates, unlocked),
            Err(error) => (None, unlocked.and(Err(error))),
        };
        let lsn = self.held.lsn.map(|lock| LsnBounds { lock, unlock: lsn_now });
        let unlocked = unlock.iter().fold(unlocked, |sofar: Result<(), _>, _| sofar.and(answers.next().map(drop)));
        LetGo { held, unlocked, stall, lsn, coordinates }
    }

    /// After the unlock: waits until a Galera node takes part in its cluster again, for `deadline` at most. What it said last; `None`
    /// where the server is no node.
    ///
    /// # Errors
    /// Those of the session.
    pub async fn wait_for_synced(&mut self, deadline: Duration) -> Result<Option<String>, DatabaseError> {
        match self.held.galera {
            Some(_) => server::wait_for_synced(&mut *self.session, deadline).await,
            None => Ok(None),
        }
    }

    /// Closes the session, which gives the lock back in any case.
    pub async fn close(self) {
        self.session.close().await;
    }
}

enum NotHeld {
    /// The server, or the deadline, let it wait for too long at this statement.
    NotInTime {
        connection_id: u64,
        statement: &'static str,
    },
    /// It was not asked for.
    InTheWay(Vec<Holder>),
    Failed(DatabaseError),
}

impl From<DatabaseError> for NotHeld {
    fn from(error: DatabaseError) -> Self {
        Self::Failed(error)
    }
}

const WHO_AM_I: &str = "SELECT CONNECTION_ID()";
const SETTING: &str = "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit";
const ASKED: &str = "SET @stillpoint_asked = NOW(6)";
const GRANTED: &str = "SELECT TIMESTAMPDIFF(MICROSECOND, @stillpoint_asked, NOW(6))";

/// Which lock of which server.
#[derive(Clone, Copy)]
struct Wanted<'w> {
    open: &'w OpenSession,
    server: &'w Server,
    method: LockMethod,
}

/// What `FLUSH TABLES WITH READ LOCK` may wait for: statements that end within moments. Longer ones were looked for before it.
const FLUSH_WAITS: Duration = Duration::from_secs(3);
/// Between two looks whether somebody is in its way.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes the lock where it is not in vain. On MySQL, and what comes of it, `FLUSH TABLES WITH READ LOCK` waits for every statement that runs,
/// with all writers behind it; and giving it up does not undo its flush, so that they wait until the last of those statements has ended.
/// So nobody may be in its way when it is asked for, and it is given up soon.
async fn hold(
    session: &mut dyn Database,
    wanted: Wanted<'_>,
    terms: &LockTerms,
    changed: &mut Changed,
) -> Result<Held, NotHeld> {
    if wanted.method != LockMethod::FlushTablesWithReadLock || wanted.server.flavour == Flavour::MariaDb {
        return hold_at_once(session, wanted, terms, changed).await;
    }
    let end = Instant::now() + terms.lock_deadline;
    let mut not_granted = None;
    loop {
        let looked = holder::in_the_way(session, terms.statement_deadline).await;
        let in_the_way = looked.map_err(|error| not_granted.take().unwrap_or(NotHeld::Failed(error)))?;
        let left = end.saturating_duration_since(Instant::now());
        if in_the_way.is_empty() {
            let terms = LockTerms { lock_deadline: left.clamp(PAUSE, FLUSH_WAITS), ..*terms };
            match hold_at_once(session, wanted, &terms, changed).await {
                Err(waited @ NotHeld::NotInTime { .. }) if left > FLUSH_WAITS + PAUSE => not_granted = Some(waited),
                held => return held,
            }
        } else if left < PAUSE {
            return Err(NotHeld::InTheWay(in_the_way));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Takes the lock in two round trips, of which nobody waits for the first: what the session may take, then the lock and all that is
/// asked under it.
async fn hold_at_once(
    session: &mut dyn Database,
    Wanted { open, server, method }: Wanted<'_>,
    terms: &LockTerms,
    changed: &mut Changed,
) -> Result<Held, NotHeld> {
    let soon = terms.statement_deadline;
    let mut batch: Vec<_> = bounds::unbounded(soon).collect();
    batch.extend([
        bounds::bounded(terms.lock_deadline, terms.expiry, soon),
        Timed::new(WHO_AM_I, soon),
        Timed::new(SETTING, soon),
    ]);
    let mut answers = session.batch(&batch).await;
    bounds::read_unbounded(&mut answers)?;
    answers.next()?;
    let connection_id = answers.next()?.number(WHO_AM_I)?;
    let setting = match answers.next() {
        Ok(rows) => u8::try_from(rows.number(SETTING)?).ok(),
        // A server without InnoDB.
        Err(DatabaseError::Server { .. }) => None,
        Err(error) => return Err(error.into()),
    };

    let flush = Flush::new(server, setting);
    let mut batch = vec![Timed::new(ASKED, soon)];
    // The server's own timeout comes first: it leaves a session that can say more. But it counts for each statement, and for each
    // stage of one, and the deadline for all of them.
    let in_time = terms.lock_deadline + LATER_THAN_THE_SERVER;
    for (index, statement) in method.lock_statements().iter().enumerate() {
        batch.push(if index == 0 { Timed::new(*statement, in_time) } else { Timed::sharing(*statement, in_time) });
    }
    batch.push(Timed::new(GRANTED, soon));
    // Before the flush, which then writes out at least as much: the engine's own threads go on logging.
    let lsn_again = server::where_the_log_stands(server, soon);
    batch.extend(lsn_again.clone());
    if method.stops_commits() {
        batch.extend(flush.statements(soon));
    }
    batch.extend(server::where_the_binlog_stands(server, soon));
    let is_replica = server.replicates.as_ref().is_some_and(|it| !it.channels.is_empty());
    if is_replica {
        batch.extend(server::where_replication_stands(server, soon));
    }
    batch.extend(server::where_galera_stands(server, soon));
    if method.stops_commits() {
        *changed = flush.changes(open, soon);
    }
    let sent_at = Instant::now();
    let mut answers = session.batch(&batch).await;

    let asked = answers.next();
    let mut locked = Ok(());
    for statement in method.lock_statements() {
        let answer = answers.next();
        if locked.is_ok() {
            locked = answer.map(drop).map_err(|error| match is_lock_timeout(&error) {
                true => NotHeld::NotInTime { connection_id, statement },
                false => NotHeld::Failed(error),
            });
        }
    }
    let granted = answers.next();
    let lsn = if lsn_again.is_some() { server::read_lsn(&mut answers) } else { Ok(None) };
    let engine_logs = match method.stops_commits() {
        true => flush.read(&mut answers, changed),
        false => Ok(flush.where_commits_go_on()),
    };
    asked?;
    locked?;
    // By the server's clock: what it waited for the lock, nobody waited for us. A clock that was set is not believed.
    let waited = Duration::from_micros(granted?.number(GRANTED).unwrap_or(0)).min(sent_at.elapsed());
    let engine_logs = engine_logs?;
    let coordinates = server::read_coordinates(server, &mut answers)?;
    let replicates = if is_replica { server::read_replicates(server, &mut answers)? } else { None };
    let galera = if server.galera { server::read_galera(&mut answers)? } else { None };
    let lsn = lsn?;
    let granted_at = sent_at + waited;
    let coordinates_again = (!method.stops_commits()).then(|| server.clone());
    Ok(Held {
        connection_id,
        coordinates,
        engine_logs,
        replicates,
        galera,
        lsn,
        lsn_again,
        coordinates_again,
        granted_at,
    })
}

/// How much later than the server the client gives up waiting for a lock.
const LATER_THAN_THE_SERVER: Duration = Duration::from_secs(2);

fn is_lock_timeout(error: &DatabaseError) -> bool {
    match error {
        // `ER_LOCK_WAIT_TIMEOUT`; `ER_STATEMENT_TIMEOUT` and `ER_QUERY_TIMEOUT`, where a bound of the server's could not be taken off.
        DatabaseError::Server { code, .. } => matches!(code, 1205 | 1969 | 3024),
        DatabaseError::TimedOut { .. } => true,
        _ => false,
    }
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
