//! The lock, on a real server.

use std::time::{Duration, Instant};

use guest_bridge::database::{
    Database, DatabaseError, OpenSession,
    holder::before_a_lock,
    lock::{LetGo, LockLost, LockTerms, TablesLock},
    lock_method::{LockMethod, LockWish},
    server::{Server, identify},
};

use super::server::PrivateServer;

pub const SOON: Duration = Duration::from_secs(20);
pub const TERMS: LockTerms =
    LockTerms { lock_deadline: Duration::from_secs(2), expiry: Duration::from_secs(60), statement_deadline: SOON };

pub async fn described(open: &OpenSession) -> Server {
    let mut session = open(SOON).await.unwrap();
    let server = identify(&mut *session, SOON).await.unwrap();
    session.close().await;
    server
}

/// The same server, as if it were too old for anything but `FLUSH TABLES WITH READ LOCK`.
pub async fn described_as_old(open: &OpenSession) -> Server {
    let mut server = described(open).await;
    (server.version.major, server.version.minor) = (10, 3);
    server
}

/// The method that fits `server`.
pub fn lock_of(server: &Server) -> LockMethod {
    LockMethod::choose(server, LockWish::Auto).method
}

/// Takes what fits `wish`.
pub async fn take(
    open: &OpenSession,
    server: &Server,
    wish: LockWish,
    terms: &LockTerms,
) -> Result<TablesLock, DatabaseError> {
    let choice = LockMethod::choose(server, wish);
    let taken = TablesLock::take_unless(open, &choice, server, terms, std::future::pending()).await?;
    Ok(taken.unwrap())
}

pub async fn unlock(mut lock: TablesLock) -> LetGo {
    let ended = lock.let_go(SOON).await;
    lock.close().await;
    ended
}

/// What `writer` has written is there when `lock` is let go, and no moment before.
pub async fn assert_that_its_commit_waits(server: &PrivateServer, mut writer: Box<dyn Database>, lock: TablesLock) {
    let commit = tokio::spawn(async move { writer.query("COMMIT", SOON).await });
    wait_until_waits(server, "COMMIT");
    assert_eq!(server.sql("SELECT COUNT(*) FROM shop.orders"), "0");

    unlock(lock).await.held.unwrap();
    commit.await.unwrap().unwrap();
    assert_eq!(server.sql("SELECT COUNT(*) FROM shop.orders"), "1");
}

fn wait_until_waits(server: &PrivateServer, statement: &str) {
    let query = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '{statement}%' AND STATE LIKE 'Waiting for%'"
    );
    wait_until(statement, || server.sql(&query) != "0");
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn wait_until_runs(server: &PrivateServer, text: &str) {
    let query = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%{text}%' AND ID <> CONNECTION_ID()"
    );
    wait_until(text, || server.sql(&query) != "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coordinates_are_where_the_binlog_stood_under_the_lock() {
    let server = PrivateServer::start();
    let open = server.open();
    server.sql("INSERT INTO shop.orders VALUES (1)");
    let lock = TablesLock::take(&open, &described(&open).await, &TERMS).await.unwrap();
    let coordinates = lock.coordinates().unwrap().clone();
    let status = server.binlog_status();
    assert!(status.starts_with(&format!("{}\t{}", coordinates.file, coordinates.position)), "{status} {coordinates:?}");
    assert_eq!(coordinates.gtid, Some(server.gtids_written()));
    unlock(lock).await.unlocked.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_binlog_there_are_no_coordinates_and_the_lock_works() {
    let server = PrivateServer::start_with(&["--skip-log-bin"]);
    let open = server.open();
    let lock = TablesLock::take(&open, &described(&open).await, &TERMS).await.unwrap();
    assert_eq!(lock.coordinates(), None);
    unlock(lock).await.held.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ftwrl_that_waits_too_long_names_the_long_query() {
    let server = PrivateServer::start();
    let open = server.open();
    let old = described_as_old(&open).await;
    server.sql("INSERT INTO shop.orders VALUES (1), (2)");
    let _reporter = server.visitor("UPDATE shop.orders SET id = id + 10 + SLEEP(300) WHERE 'month end' <> '';");
    wait_until_runs(&server, "month end");
    let error = TablesLock::take(&open, &old, &TERMS).await.err().unwrap();
    // On a machine that is slow the query is long already when it is looked for.
    let (DatabaseError::LockNotGranted { holders, method, .. } | DatabaseError::InTheWay { holders, method, .. }) =
        &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(*method, LockMethod::FlushTablesWithReadLock);
    assert!(holders[0].statement.to_string().contains("UPDATE shop.orders"), "{error}");
    assert!(holders[0].user.starts_with("root@"), "{error}");
    // And nothing stays locked.
    server.sql("INSERT INTO shop.visits VALUES (1)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_that_holds_the_lock_is_named_too() {
    let server = PrivateServer::start();
    let open = server.open();
    let mut idler = open(SOON).await.unwrap();
    idler.query("LOCK TABLES shop.orders WRITE", SOON).await.unwrap();
    let id = idler.query("SELECT CONNECTION_ID() AS id", SOON).await.unwrap();
    // Another BACKUP STAGE would not wait for it: both keep commits away.
    let error = TablesLock::take(&open, &described_as_old(&open).await, &TERMS).await.err().unwrap();
    let DatabaseError::LockNotGranted { holders, .. } = &error else { panic!("{error:?}") };
    assert_eq!(Some(holders[0].thread_id.to_string().as_str()), id.get(0, "id"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_whose_holder_vanished_frees_itself() {
    let server = PrivateServer::start();
    let open = server.open();
    let terms = LockTerms { expiry: Duration::from_secs(1), ..TERMS };
    let lock = TablesLock::take(&open, &described(&open).await, &terms).await.unwrap();
    // The holder keeps its connection open, and says nothing more.
    server.sql("INSERT INTO shop.orders VALUES (1)");
    assert!(matches!(unlock(lock).await.held, Err(LockLost::Session(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_session_does_not_pass_for_a_held_lock() {
    let server = PrivateServer::start();
    let open = server.open();
    let lock = TablesLock::take(&open, &described(&open).await, &TERMS).await.unwrap();
    server.sql(&format!("KILL CONNECTION {}", lock.connection_id()));
    let lost = unlock(lock).await.held.unwrap_err();
    assert!(matches!(lost, LockLost::Session(DatabaseError::Lost { .. })), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_lock_frees_it() {
    let server = PrivateServer::start();
    let open = server.open();
    drop(TablesLock::take(&open, &described(&open).await, &TERMS).await.unwrap());
    let mut writer = open(SOON).await.unwrap();
    writer.query("INSERT INTO shop.orders VALUES (1)", SOON).await.unwrap();
}

#[tokio::test]
async fn who_has_a_transaction_open_is_named_before_a_lock_is_asked_for_and_nothing_is_locked() {
    let server = PrivateServer::start();
    server.sql("CREATE TABLE shop.held (i INT) ENGINE=InnoDB");
    let mut session = server.open()(SOON).await.unwrap();
    let _visitor = server.visitor("START TRANSACTION; INSERT INTO shop.held VALUES (1); DO SLEEP(20);");
    wait_until_runs(&server, "SLEEP(20)");
    // A client that this test asked with may still be about to leave, and is named until it has.
    let alone = Instant::now() + Duration::from_secs(15);
    let found = loop {
        let found = before_a_lock(&mut *session, LockMethod::BackupStage, SOON).await.unwrap();
        if found.len() == 1 || Instant::now() > alone {
            break found;
        }
    };
    let [holder] = &found[..] else { panic!("{found:?}") };
    assert_eq!((holder.reason.as_str(), holder.is_idle), ("holds SHARED_WRITE on TABLE shop.held", false));
    server.sql("CREATE TABLE shop.other (i INT)");
    session.close().await;
}
