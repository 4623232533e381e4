//! `BACKUP STAGE`, on a real server.

use guest_bridge::database::{
    Credentials, DatabaseError,
    lock::{LockTerms, TablesLock},
    lock_method::LockMethod,
    net::{Address, NetSession, Tls},
};

use crate::locking::{SOON, TERMS, assert_that_its_commit_waits, described, described_as_old, unlock, wait_until_runs};
use crate::server::PrivateServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_wait_under_the_lock_while_uncommitted_writes_go_on() {
    let server = PrivateServer::start();
    let open = server.open();
    let lock = TablesLock::take(&open, &described(&open).await, &TERMS).await.unwrap();
    assert_eq!(lock.method(), LockMethod::BackupStage);

    let mut writer = open(SOON).await.unwrap();
    writer.query("START TRANSACTION", SOON).await.unwrap();
    writer.query("INSERT INTO shop.orders VALUES (1)", SOON).await.unwrap();
    assert_that_its_commit_waits(&server, writer, lock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_stage_is_not_kept_waiting_by_a_long_transactional_update() {
    let server = PrivateServer::start();
    let open = server.open();
    server.sql("INSERT INTO shop.orders VALUES (1), (2)");
    let _reporter = server.visitor("UPDATE shop.orders SET id = id + 10 + SLEEP(300) WHERE 'month end' <> '';");
    wait_until_runs(&server, "month end");
    let lock = TablesLock::take(&open, &described(&open).await, &TERMS).await.unwrap();
    unlock(lock).await.unlocked.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_stage_that_waits_too_long_names_who_holds_a_backup_lock() {
    let server = PrivateServer::start();
    let open = server.open();
    let _other_backup = server.visitor("BACKUP STAGE START; SELECT SLEEP(300), 'other backup';");
    wait_until_runs(&server, "other backup");
    let error = TablesLock::take(&open, &described(&open).await, &TERMS).await.err().unwrap();
    let DatabaseError::LockNotGranted { holders, .. } = &error else { panic!("{error:?}") };
    assert!(holders[0].statement.to_string().contains("other backup"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_of_another_backup_is_named_where_the_server_shows_no_locks() {
    let server = PrivateServer::start_with(&["--log-bin=binlog", "--performance-schema=OFF"]);
    let open = server.open();
    server.sql("CREATE USER clerk; GRANT SELECT ON shop.* TO clerk");
    let clerk =
        NetSession::open(&Address::Unix(server.socket()), &Credentials::new("clerk", None), &Tls::default(), SOON)
            .await
            .unwrap();
    let mut other_backup = open(SOON).await.unwrap();
    other_backup.query("BACKUP STAGE START", SOON).await.unwrap();
    let id = other_backup.query("SELECT CONNECTION_ID() AS id", SOON).await.unwrap();

    let error = TablesLock::take(&open, &described(&open).await, &TERMS).await.err().unwrap();
    let DatabaseError::LockNotGranted { holders, .. } = &error else { panic!("{error:?}") };
    let named: Vec<_> = holders.iter().map(|holder| (holder.thread_id.to_string(), holder.is_idle)).collect();
    assert_eq!(named, [(id.get(0, "id").unwrap().to_owned(), true)], "{error}");
    for words in ["`BACKUP STAGE START`", "another backup holds it"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(error.hint().unwrap().contains("let that backup end"), "{:?}", error.hint());
    drop(clerk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_of_the_servers_on_statements_does_not_end_ours() {
    let server = PrivateServer::start_with(&["--log-bin=binlog", "--max-statement-time=0.3"]);
    let open = server.open();
    let old = described_as_old(&open).await;
    server.sql("INSERT INTO shop.orders VALUES (1), (2)");
    let update = "UPDATE shop.orders SET id = id + 10 + SLEEP(1) WHERE 'month end' <> '';";
    let _reporter = server.visitor(&format!("SET SESSION max_statement_time = 0; {update}"));
    wait_until_runs(&server, "month end");
    // It waits for longer than the server lets statements run.
    let lock = TablesLock::take(&open, &old, &LockTerms { lock_deadline: SOON, ..TERMS }).await.unwrap();
    unlock(lock).await.held.unwrap();
}
