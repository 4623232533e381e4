//! Finding them, from a second session.

use std::time::Duration;

use super::Holder;
use crate::database::{
    Database, DatabaseError, OpenSession, Rows, Statement, Timed,
    lock_method::{LockMethod, WAITS_FOR_BACKUPS},
};

/// Looks, from a second session, for who may keep connection `waiting` at `statement`; the most likely first, [`MAX_HOLDERS`] at most.
///
/// # Errors
/// Those of the second session.
pub async fn find(
    open: &OpenSession,
    waiting: Option<u64>,
    statement: &str,
    deadline: Duration,
) -> Result<Vec<Holder>, DatabaseError> {
    let mut session = open(deadline).await?;
    let found = suspects(&mut *session, waiting, statement, deadline).await;
    session.close().await;
    found
}

/// Looks, in a session that holds nothing, for who may keep `method` waiting now, were it asked for; the most likely first,
/// [`MAX_HOLDERS`] at most. Nothing is locked.
///
/// # Errors
/// Those of the session.
pub async fn before_a_lock(
    session: &mut dyn Database,
    method: LockMethod,
    deadline: Duration,
) -> Result<Vec<Holder>, DatabaseError> {
    // Idle sessions that may lock are suspects only once a lock is waited for: else every administrator would be named.
    let statement = method.lock_statements().iter().rev().find(|statement| **statement != WAITS_FOR_BACKUPS);
    suspects(session, None, statement.copied().unwrap_or_default(), deadline).await
}

/// Looks, in a session that holds nothing, for who would keep `FLUSH TABLES WITH READ LOCK` waiting: statements that have run for a second
/// or more (the short ones end by themselves), and `LOCK TABLES`. The most likely first, [`MAX_HOLDERS`] at most.
///
/// # Errors
/// Those of the session.
pub(in crate::database) async fn in_the_way(
    session: &mut dyn Database,
    deadline: Duration,
) -> Result<Vec<Holder>, DatabaseError> {
    let seen = Seen::look(session, "", deadline).await?;
    Ok(named(seen.suspects(None).filter(Suspect::keeps_tables)))
}

/// The most sessions that are named.
pub const MAX_HOLDERS: usize = 3;

/// Everybody who does something, the longest first. The text is cut here already: a statement may have megabytes.
const SESSIONS: &str = "SELECT ID AS thread_id, USER AS user, HOST AS host, COMMAND AS command, TIME AS seconds, STATE AS state, \
     LEFT(INFO, 400) AS statement FROM information_schema.PROCESSLIST \
     WHERE ID <> CONNECTION_ID() AND COMMAND NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID') ORDER BY TIME DESC LIMIT 500";

/// Idle sessions with an open transaction hold metadata locks too, and the process list does not show that.
const TRANSACTIONS: &str = "SELECT trx_mysql_thread_id AS thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) AS seconds, \
     trx_rows_modified AS rows_modified FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id <> 0 LIMIT 500";

/// Whoever may take a backup's lock: an idle session of theirs may hold it, and without the two below nothing shows it.
const MAY_LOCK: &str = "SELECT DISTINCT GRANTEE AS grantee FROM information_schema.USER_PRIVILEGES \
     WHERE PRIVILEGE_TYPE IN ('RELOAD', 'BACKUP_ADMIN') LIMIT 500";

/// MariaDB's plugin `metadata_lock_info`, where somebody has installed it.
const METADATA_LOCKS_MARIADB: &str = "SELECT THREAD_ID AS thread_id, LOCK_MODE AS lock_mode, LOCK_TYPE AS object, \
     CONCAT_WS('.', NULLIF(TABLE_SCHEMA, ''), NULLIF(TABLE_NAME, '')) AS name FROM information_schema.METADATA_LOCK_INFO LIMIT 500";

/// MySQL, and MariaDB 10.5 and later if its performance schema is on.
const METADATA_LOCKS: &str = "SELECT t.PROCESSLIST_ID AS thread_id, m.LOCK_TYPE AS lock_mode, m.OBJECT_TYPE AS object, \
     CONCAT_WS('.', m.OBJECT_SCHEMA, m.OBJECT_NAME) AS name FROM performance_schema.metadata_locks m \
     JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID WHERE m.LOCK_STATUS = 'GRANTED' \
     AND t.PROCESSLIST_ID <> CONNECTION_ID() LIMIT 500";

async fn suspects(
    session: &mut dyn Database,
    waiting: Option<u64>,
    statement: &str,
    deadline: Duration,
) -> Result<Vec<Holder>, DatabaseError> {
    let seen = Seen::look(session, statement, deadline).await?;
    Ok(named(seen.suspects(waiting)))
}

/// What a server says of its sessions.
struct Seen {
    sessions: Rows,
    transactions: Rows,
    locks: Rows,
    may_lock: Rows,
}

/// A session, how much it is suspected (0 the most), for how long it has been at what it does, and the metadata lock that it was seen to
/// hold.
struct Suspect {
    weight: u8,
    holder: Holder,
    at_it_seconds: u64,
    lock_mode: Option<String>,
}

impl Suspect {
    fn keeps_tables(&self) -> bool {
        // Whatever its transaction is.
        let runs = !self.holder.is_idle && self.at_it_seconds >= 1;
        // What `LOCK TABLES … WRITE` and DDL take of a table.
        runs || self.lock_mode.as_deref().is_some_and(|mode| mode.ends_with("NO_READ_WRITE") || mode == "EXCLUSIVE")
    }
}

fn named(suspects: impl Iterator<Item = Suspect>) -> Vec<Holder> {
    let mut suspects: Vec<Suspect> = suspects.collect();
    // A running statement that also holds a lock is likelier than an idle one that does.
    suspects.sort_by_key(|Suspect { weight, holder, .. }| (*weight, std::cmp::Reverse(holder.seconds)));
    suspects.truncate(MAX_HOLDERS);
    suspects.into_iter().map(|suspect| suspect.holder).collect()
}

fn where_there_is(reply: Result<Rows, DatabaseError>) -> Result<Rows, DatabaseError> {
    match reply {
        Err(DatabaseError::Server { .. }) => Ok(Rows::default()),
        other => other,
    }
}

impl Seen {
    async fn look(session: &mut dyn Database, statement: &str, deadline: Duration) -> Result<Self, DatabaseError> {
        // Through the agent each round trip is a program.
        let mut batch = vec![SESSIONS, TRANSACTIONS, METADATA_LOCKS_MARIADB, METADATA_LOCKS];
        if statement == WAITS_FOR_BACKUPS {
            batch.push(MAY_LOCK);
        }
        let batch: Vec<Timed> = batch.into_iter().map(|text| Timed::new(text, deadline)).collect();
        let mut answers = session.batch(&batch).await;
        let sessions = answers.next()?;
        // Each of the rest is there on some servers only, or only for some users.
        let transactions = where_there_is(answers.next())?;
        let (mariadbs, others) = (where_there_is(answers.next())?, where_there_is(answers.next())?);
        let locks = if mariadbs.rows.is_empty() { others } else { mariadbs };
        let may_lock = if statement == WAITS_FOR_BACKUPS { where_there_is(answers.next())? } else { Rows::default() };
        Ok(Self { sessions, transactions, locks, may_lock })
    }

    /// Who is suspected, in no order.
    fn suspects(&self, waiting: Option<u64>) -> impl Iterator<Item = Suspect> {
        (0..self.sessions.rows.len()).filter_map(move |row| self.suspect(row, waiting))
    }

    fn suspect(&self, row: usize, waiting: Option<u64>) -> Option<Suspect> {
        let Self { sessions, transactions, locks, .. } = self;
        let thread_id = sessions.get(row, "thread_id")?;
        let number = thread_id.parse().ok().filter(|number| Some(*number) != waiting)?;
        let state = sessions.get(row, "state").unwrap_or_default();
        // Those that wait for a metadata lock are victims, not culprits.
        if state.starts_with("Waiting for") && state.ends_with("lock") {
            return None;
        }
        let runs = !matches!(sessions.get(row, "command"), Some("Sleep") | None);
        let at_it_seconds = sessions.get(row, "seconds").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut seconds = at_it_seconds;
        let mut lock_mode = None;
        let (weight, reason) = if let Some(lock) = row_of(locks, thread_id) {
            let part = |name| locks.get(lock, name).unwrap_or_default();
            lock_mode = Some(part("lock_mode").to_owned());
            (0, format!("holds {} on {} {}", part("lock_mode"), part("object"), part("name")))
        } else if let Some(transaction) = row_of(transactions, thread_id) {
            seconds = transactions
                .get(transaction, "seconds")
                .and_then(|text| text.parse().ok())
                .map_or(seconds, |open: u64| open.max(seconds));
            (1, "has an open transaction".to_owned())
        } else if runs {
            (2, "runs a statement".to_owned())
        } else if self.may_hold_a_backups_lock(sessions.get(row, "user")?) {
            (3, "is idle, and may hold a backup's lock".to_owned())
        } else {
            return None;
        };
        let (user, host) = (sessions.get(row, "user").unwrap_or("?"), sessions.get(row, "host").unwrap_or("?"));
        let holder = Holder {
            thread_id: number,
            user: Statement::new(&format!("{user}@{host}")).to_string(),
            seconds,
            statement: Statement::new(sessions.get(row, "statement").unwrap_or("(idle, no statement running)")),
            is_idle: sessions.get(row, "statement").is_none(),
            reason: Statement::new(reason.trim_end()).to_string(),
        };
        Some(Suspect { weight, holder, at_it_seconds, lock_mode })
    }

    fn may_hold_a_backups_lock(&self, user: &str) -> bool {
        let account = format!("'{user}'@");
        let grantee = |row| self.may_lock.get(row, "grantee");
        (0..self.may_lock.rows.len()).any(|row| grantee(row).is_some_and(|it| it.starts_with(&account)))
    }
}

fn row_of(rows: &Rows, thread_id: &str) -> Option<usize> {
    (0..rows.rows.len()).find(|row| rows.get(*row, "thread_id") == Some(thread_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        call_log::CallLog,
        database::scripted::{ScriptedDatabase, expect},
    };

    /// What a server says of sessions 7 and 8, one of which holds `lock`.
    fn server(sessions: [(&str, Option<&str>); 2], lock: [&str; 3]) -> ScriptedDatabase {
        let columns = ["thread_id", "user", "host", "command", "seconds", "state", "statement"];
        let row = |id, (seconds, statement): (_, Option<_>)| {
            let command = if statement.is_some() { "Query" } else { "Sleep" };
            [Some(id), Some("shop"), Some("web1"), Some(command), Some(seconds), Some(""), statement]
        };
        let [seven, eight] = sessions;
        let open = [Some("7"), Some("61"), Some("2")];
        let [id, mode, name] = lock.map(Some);
        let script = [
            expect(SESSIONS).returns(&columns, &[&row("7", seven), &row("8", eight)]),
            expect(TRANSACTIONS).returns(&["thread_id", "seconds", "rows_modified"], &[&open]),
            expect(METADATA_LOCKS_MARIADB).refuses(1109, "Unknown table"),
            expect(METADATA_LOCKS)
                .returns(&["thread_id", "lock_mode", "object", "name"], &[&[id, mode, Some("TABLE"), name]]),
        ];
        ScriptedDatabase::new(CallLog::new(), script)
    }

    #[tokio::test]
    async fn a_long_statement_and_a_locked_table_are_in_the_way_and_an_old_transaction_is_not() {
        let shared = ["8", "SHARED_WRITE", "shop.t"];
        let short = Some("INSERT INTO t VALUES (1)");
        for (sessions, lock, wanted) in [
            ([("0", short), ("90", None)], shared, &[][..]),
            ([("0", short), ("2", Some("SELECT SLEEP(9) FROM t"))], shared, &[8]),
            ([("0", short), ("90", None)], ["8", "SHARED_NO_READ_WRITE", "shop.t"], &[8]),
        ] {
            let found = in_the_way(&mut server(sessions, lock), Duration::from_secs(1)).await.unwrap();
            let threads: Vec<u64> = found.iter().map(|holder| holder.thread_id).collect();
            assert_eq!(threads, wanted, "{sessions:?} {lock:?}");
        }
    }

    #[tokio::test]
    async fn before_a_lock_nobody_is_suspected_for_what_he_might_do() {
        let columns = ["thread_id", "user", "host", "command", "seconds", "state", "statement"];
        let admin = [Some("3"), Some("root"), Some("localhost"), Some("Sleep"), Some("90"), Some(""), None];
        let shop = [Some("7"), Some("shop"), Some("web1"), Some("Sleep"), Some("40"), Some(""), None];
        let open = [Some("7"), Some("61"), Some("2")];
        let script = [
            expect(SESSIONS).returns(&columns, &[&admin, &shop]),
            expect(TRANSACTIONS).returns(&["thread_id", "seconds", "rows_modified"], &[&open]),
            expect(METADATA_LOCKS_MARIADB).refuses(1109, "Unknown table"),
            expect(METADATA_LOCKS).refuses(1109, "Unknown table"),
        ];
        let mut session = ScriptedDatabase::new(CallLog::new(), script);
        let deadline = Duration::from_secs(1);
        let found = before_a_lock(&mut session, LockMethod::BackupStage, deadline).await.unwrap();
        let [holder] = &found[..] else { panic!("{found:?}") };
        assert_eq!((holder.thread_id, holder.seconds, holder.is_idle), (7, 61, true));
        assert_eq!((holder.user.as_str(), holder.reason.as_str()), ("shop@web1", "has an open transaction"));
    }
}
