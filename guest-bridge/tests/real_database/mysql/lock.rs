//! The lock on a MySQL, which has no `BACKUP STAGE`.

use std::time::Duration;

use guest_bridge::database::{
    DatabaseError,
    lock::{LockTerms, TablesLock},
    lock_method::{LockMethod, LockWish},
};

use crate::locking::{SOON, TERMS, assert_that_its_commit_waits, described, take, unlock, wait_until_runs};
use crate::server::PrivateServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a MySQL"]
async fn commits_wait_under_the_lock() {
    let server = PrivateServer::start();
    let open = server.open();
    let mut writer = open(SOON).await.unwrap();
    writer.query("START TRANSACTION", SOON).await.unwrap();
    writer.query("INSERT INTO shop.orders VALUES (1)", SOON).await.unwrap();
    let lock = TablesLock::take(&open, &described(&open).await, &TERMS).await.unwrap();
    assert_eq!(lock.method(), LockMethod::FlushTablesWithReadLock);
    assert_that_its_commit_waits(&server, writer, lock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a MySQL"]
async fn a_server_that_takes_no_more_than_reads_is_locked_too() {
    let server = PrivateServer::start();
    let open = server.open();
    server.sql("SET GLOBAL super_read_only = ON");
    let found = described(&open).await;
    assert!(found.read_only, "{found:?}");
    let lock = TablesLock::take(&open, &found, &TERMS).await.unwrap();
    let ended = unlock(lock).await;
    ended.held.unwrap();
    ended.unlocked.unwrap();
}

/// How often a server was asked for the lock since its general log began.
fn asked_for(server: &PrivateServer) -> String {
    server.sql("SELECT COUNT(*) FROM mysql.general_log WHERE argument LIKE 'FLUSH TABLES WITH%'")
}

fn log_statements(server: &PrivateServer) {
    server.sql("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON");
}

/// A second is how long a statement has to have run to be in the way.
fn wait_until_it_is_long(server: &PrivateServer, text: &str) {
    wait_until_runs(server, text);
    std::thread::sleep(Duration::from_millis(2100));
}

/// To give the lock up would not undo its flush: whoever writes to the table would wait until the statement has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a MySQL"]
async fn behind_a_long_statement_the_lock_is_not_asked_for_and_the_statement_is_named() {
    let server = PrivateServer::start();
    let open = server.open();
    server.sql("INSERT INTO shop.orders VALUES (1)");
    let found = described(&open).await;
    let _visitor = server.visitor("SELECT SLEEP(60) FROM shop.orders;");
    wait_until_it_is_long(&server, "SLEEP(60)");
    log_statements(&server);
    let error = TablesLock::take(&open, &found, &TERMS).await.err().unwrap();
    assert!(matches!(error, DatabaseError::InTheWay { .. }), "{error:?}");
    assert!(error.to_string().contains("SELECT SLEEP(60) FROM shop.orders"), "{error}");
    assert_eq!(asked_for(&server), "0");
    server.sql("INSERT INTO shop.orders VALUES (2)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a MySQL"]
async fn a_table_that_somebody_has_locked_is_in_the_way_too() {
    let server = PrivateServer::start();
    let open = server.open();
    let found = described(&open).await;
    let _visitor = server.visitor("LOCK TABLES shop.orders WRITE; DO SLEEP(60);");
    wait_until_it_is_long(&server, "SLEEP(60)");
    log_statements(&server);
    let error = TablesLock::take(&open, &found, &TERMS).await.err().unwrap();
    assert!(matches!(error, DatabaseError::InTheWay { .. }), "{error:?}");
    assert_eq!(asked_for(&server), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a MySQL"]
async fn the_lock_is_taken_once_the_long_statement_has_ended() {
    let server = PrivateServer::start();
    let open = server.open();
    server.sql("INSERT INTO shop.orders VALUES (1)");
    let found = described(&open).await;
    let _visitor = server.visitor("SELECT SLEEP(6) FROM shop.orders;");
    wait_until_it_is_long(&server, "SLEEP(6)");
    log_statements(&server);
    let patient = LockTerms { lock_deadline: Duration::from_secs(60), ..TERMS };
    let lock = TablesLock::take(&open, &found, &patient).await.unwrap();
    assert_eq!(
        server.sql("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP(6)%'"),
        "0"
    );
    unlock(lock).await.held.unwrap();
    assert_eq!(asked_for(&server), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a MySQL"]
async fn where_all_is_innodb_commits_go_on_and_ddl_waits() {
    let server = PrivateServer::start();
    let open = server.open();
    let lock = take(&open, &described(&open).await, LockWish::Auto, &TERMS).await.unwrap();
    assert_eq!((lock.method(), lock.went_without().is_none()), (LockMethod::InstanceForBackup, true));
    server.sql("INSERT INTO shop.orders VALUES (1)");
    let _ddl = server.visitor("ALTER TABLE shop.orders ADD COLUMN more INT;");
    wait_until_runs(&server, "ADD COLUMN more");
    let state = "SELECT STATE FROM information_schema.PROCESSLIST WHERE INFO LIKE 'ALTER TABLE%'";
    assert_eq!(server.sql(state), "Waiting for backup lock");
    let before = lock.coordinates().unwrap().clone();
    let ended = unlock(lock).await;
    ended.held.unwrap();
    ended.unlocked.unwrap();
    let after = ended.coordinates.unwrap();
    assert!(after.file == before.file && after.position > before.position, "{before:?} {after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a MySQL"]
async fn a_long_select_keeps_nobody_waiting() {
    let server = PrivateServer::start();
    let open = server.open();
    server.sql("INSERT INTO shop.orders VALUES (1)");
    let _visitor = server.visitor("SELECT SLEEP(60) FROM shop.orders;");
    wait_until_it_is_long(&server, "SLEEP(60)");
    let lock = take(&open, &described(&open).await, LockWish::Require, &TERMS).await.unwrap();
    server.sql("INSERT INTO shop.orders VALUES (2)");
    unlock(lock).await.held.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a MySQL"]
async fn where_the_lock_is_not_granted_it_goes_on_without_and_says_why_unless_one_is_required() {
    let server = PrivateServer::start();
    let open = server.open();
    server.sql("INSERT INTO shop.orders VALUES (1)");
    let found = described(&open).await;
    // Holds the lock of DDL for as long as it waits for the reader.
    let _reader = server.visitor("START TRANSACTION; SELECT * FROM shop.orders; DO SLEEP(60);");
    wait_until_runs(&server, "SLEEP(60)");
    let _ddl = server.visitor("ALTER TABLE shop.orders ADD COLUMN more INT;");
    wait_until_runs(&server, "ADD COLUMN more");
    let soon = LockTerms { lock_deadline: Duration::from_secs(2), ..TERMS };
    let error = take(&open, &found, LockWish::Require, &soon).await.err().unwrap();
    assert!(matches!(error, DatabaseError::LockNotGranted { .. }), "{error:?}");
    let lock = take(&open, &found, LockWish::Auto, &soon).await.unwrap();
    assert_eq!(lock.method(), LockMethod::None);
    assert!(matches!(lock.went_without(), Some(DatabaseError::LockNotGranted { .. })), "{:?}", lock.went_without());
    unlock(lock).await.held.unwrap();
}
