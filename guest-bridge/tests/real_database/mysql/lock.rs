//! The lock on a MySQL, which has no `BACKUP STAGE`.

use guest_bridge::database::{lock::TablesLock, lock_method::LockMethod};

use crate::locking::{SOON, TERMS, assert_that_its_commit_waits, described, unlock};
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
