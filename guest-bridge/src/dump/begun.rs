//! A dump that begins at coordinates which are known: under a short lock of our own.
//!
//! MySQL's own client would take the lock itself, and wait for it as long as the server's `lock_wait_timeout` says, which is a year; with
//! every writer behind it.

use std::{pin::pin, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use super::{DumpError, DumpStream};
use crate::database::{
    Database, DatabaseError, OpenSession, Statement,
    lock::{LetGo, LockTerms, TablesLock},
    lock_method::{LockChoice, LockMethod},
    server::{Coordinates, Flavour, Server},
};

/// How long the lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Until the client has its snapshot: a fraction of a second.
    Snapshot,
    /// Until the dump was carried out, for tables without transactions. Nobody can write for so long. The lock's
    /// [expiry](LockTerms::expiry) has to be longer than that.
    Dump,
}

/// A dump that has its snapshot.
#[must_use = "dropping it ends the dump in the guest"]
pub struct Begun {
    /// The dump.
    pub stream: DumpStream,
    /// Where the binlog stood at the snapshot; `None` where there is none.
    pub coordinates: Option<Coordinates>,
    /// The longest that a writer can have waited. With [`Hold::Dump`] they wait still.
    pub stall: Duration,
    /// With [`Hold::Dump`]: the lock. It has to be [let go](TablesLock::let_go) behind the last byte, which proves that it was held until
    /// then.
    pub lock: Option<TablesLock>,
}

/// `INNODB_TRX` is a cache, which is filled anew only where nobody has asked for 100 ms: who asks more often, sees the same for ever.
const PAUSE: Duration = Duration::from_millis(150);

/// Begins a dump under `FLUSH TABLES WITH READ LOCK`: looks first whether something is in the way, as every lock of ours does, takes it, notes
/// the coordinates, has `start` start the client, waits until the server shows the client's snapshot, and lets go. `snapshot_deadline` is from
/// the grant of the lock until then. Whatever fails, or if this future is dropped: the lock is freed, and the dump ended.
///
/// Needs `performance_schema`, by which the client's session is known, except with [`Hold::Dump`].
///
/// # Errors
/// [`DumpError::Database`] where the lock was not granted, naming who was in the way; [`DumpError::NotCoordinated`] where the snapshot did
/// not come in time, or the lock was lost before; those of `start`.
pub async fn begin(
    open: &OpenSession,
    server: &Server,
    terms: &LockTerms,
    hold: Hold,
    snapshot_deadline: Duration,
    start: impl Future<Output = Result<DumpStream, DumpError>>,
) -> Result<Begun, DumpError> {
    // First: to open it takes time, which nobody should wait for.
    let mut looks = open(terms.statement_deadline).await?;
    let begun = begin_with(open, &mut *looks, server, terms, hold, snapshot_deadline, start).await;
    looks.close().await;
    begun
}

async fn begin_with(
    open: &OpenSession,
    looks: &mut dyn Database,
    server: &Server,
    terms: &LockTerms,
    hold: Hold,
    snapshot_deadline: Duration,
    start: impl Future<Output = Result<DumpStream, DumpError>>,
) -> Result<Begun, DumpError> {
    if hold == Hold::Snapshot {
        prove_that_snapshots_show(looks, server, terms.statement_deadline).await?;
    }
    let choice = LockChoice {
        method: LockMethod::FlushTablesWithReadLock,
        reason: "the dump's snapshot is taken under it".to_owned(),
        or_none: false,
        needed_because: None,
    };
    let lock = TablesLock::take_unless(open, &choice, server, terms, std::future::pending()).await?;
    let Some(mut lock) = lock else { return Err(not_coordinated("the lock was given up")) };
    let coordinates = lock.coordinates().cloned();
    let granted = Instant::now();
    let mut began = pin!(timeout_at(granted + snapshot_deadline, async {
        let stream = start.await?;
        let seen = match hold {
            Hold::Snapshot => wait_for_snapshot(looks, stream.client().pid, terms.statement_deadline).await,
            Hold::Dump => Ok(()),
        };
        Ok((stream, seen))
    }));
    let began = match began.as_mut().await {
        Ok(began) => began,
        Err(_) => {
            let waited_ms = snapshot_deadline.as_millis();
            Err(not_coordinated(&format!("the client has taken no snapshot within {waited_ms} ms")))
        }
    };
    if hold == Hold::Dump && began.is_ok() {
        // Nobody could write since before the client's start, and nobody can.
        let (stream, _) = began?;
        return Ok(Begun { stream, coordinates, stall: granted.elapsed(), lock: Some(lock) });
    }
    // Before anything is ended in the guest, which takes time: the writers wait.
    let LetGo { held, stall, .. } = lock.let_go(terms.statement_deadline).await;
    lock.close().await;
    let (stream, seen) = began?;
    seen?;
    held.map_err(|lost| not_coordinated(&lost.to_string()))?;
    Ok(Begun { stream, coordinates, stall, lock: None })
}

fn not_coordinated(problem: &str) -> DumpError {
    DumpError::NotCoordinated { problem: problem.to_owned() }
}

async fn prove_that_snapshots_show(
    looks: &mut dyn Database,
    server: &Server,
    deadline: Duration,
) -> Result<(), DumpError> {
    if server.flavour == Flavour::MariaDb {
        return Err(not_coordinated("MariaDB's client notes them itself, without a lock"));
    }
    let rows = looks.query("SELECT @@GLOBAL.performance_schema AS is_on", deadline).await?;
    match rows.get(0, "is_on") {
        Some("1" | "ON") => {}
        _ => return Err(not_coordinated("performance_schema is off, so the client's snapshot cannot be seen")),
    }
    // Whether this account may look at all, before anybody waits.
    looks.query(&snapshots_of(0), deadline).await?;
    Ok(())
}

/// What is under way for process `pid` of the guest that reads one state of all tables. The server's own reads of its dictionary have another
/// isolation level, single statements no transaction of their own.
fn snapshots_of(pid: u64) -> String {
    format!(
        "SELECT COUNT(*) AS n FROM information_schema.INNODB_TRX t \
         JOIN performance_schema.session_connect_attrs p ON p.PROCESSLIST_ID = t.trx_mysql_thread_id \
         JOIN performance_schema.session_connect_attrs n ON n.PROCESSLIST_ID = t.trx_mysql_thread_id \
         WHERE p.ATTR_NAME = '_pid' AND p.ATTR_VALUE = '{pid}' AND n.ATTR_NAME = 'program_name' AND n.ATTR_VALUE = 'mysqldump' \
         AND t.trx_isolation_level = 'REPEATABLE READ' AND t.trx_autocommit_non_locking = 0"
    )
}

async fn wait_for_snapshot(looks: &mut dyn Database, pid: u64, deadline: Duration) -> Result<(), DumpError> {
    let statement = snapshots_of(pid);
    loop {
        sleep(PAUSE).await;
        let rows = looks.query(&statement, deadline).await?;
        match rows.get(0, "n") {
            Some("0") => {}
            Some("1") => return Ok(()),
            said => {
                let detail = format!("one snapshot of the client was expected, not {:?}", said.map(Statement::new));
                return Err(DatabaseError::UnexpectedReply { statement: Statement::new(&statement), detail }.into());
            }
        }
    }
}
