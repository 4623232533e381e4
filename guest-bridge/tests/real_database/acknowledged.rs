//! What clients were told is in a copy of the files that was taken under the lock, as a crash would leave them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use guest_bridge::database::{
    OpenSession, engine_logs::EngineLogs, lock::LockTerms, lock_method::LockWish, server::identify,
};
use stillpoint_tests::machine::database_server::DatabaseServer;
use stillpoint_tests::machine::program::{text, try_run};
use stillpoint_tests::machine::{ext4, mount::Mount};
use tokio::task::JoinHandle;

use super::locking::{take, unlock};
use super::server::PrivateServer;

const SOON: Duration = Duration::from_secs(60);
const TERMS: LockTerms = LockTerms { lock_deadline: SOON, expiry: SOON, statement_deadline: SOON };

/// A client that inserts (id, 1), (id, 2), …, each in a transaction of its own, and counts those that it was told of.
struct Client {
    id: usize,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    running: JoinHandle<()>,
}

impl Client {
    fn start(id: usize, open: &OpenSession) -> Self {
        let (acknowledged, stop): (Arc<AtomicU64>, Arc<AtomicBool>) = Default::default();
        let (told, stopped, open) = (acknowledged.clone(), stop.clone(), open.clone());
        let running = tokio::spawn(async move {
            let mut session = open(SOON).await.unwrap();
            for number in 1.. {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let insert = format!("INSERT INTO shop.acknowledged VALUES ({id}, {number})");
                session.query(&insert, SOON).await.unwrap();
                told.store(number, Ordering::SeqCst);
            }
            session.close().await;
        });
        Self { id, acknowledged, stop, running }
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.running.await.unwrap();
    }
}

/// Has clients write to a server with `options`, locks it as is wished, and copies its filesystem while that is frozen. All that the clients
/// were told of before the freeze must be in the copy: with its binlog; without it too, where commits waited.
async fn nothing_acknowledged_is_missing(wish: LockWish, options: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (image, copy) = (folder.path().join("fs.img"), folder.path().join("copy.img"));
    ext4::make(&image, 400, &["-t", "ext4"]);
    let disk = Mount::image(&image, "defaults");
    // What InnoDB writes out by itself once a second would hide what it does not write when it should.
    let options = [&["--log-bin=binlog", "--sync-binlog=1", "--innodb-flush-log-at-timeout=2700"], options].concat();
    let server = PrivateServer::start_in(&disk.point, &options);
    server.sql("CREATE TABLE shop.acknowledged (client INT, number INT, PRIMARY KEY (client, number)) ENGINE=InnoDB");
    let before = server.sql("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit");
    let open = server.open();
    let described = identify(&mut *open(SOON).await.unwrap(), SOON).await.unwrap();

    let clients: Vec<_> = (1..=3).map(|id| Client::start(id, &open)).collect();
    while clients.iter().any(|client| client.acknowledged() < 50) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lock = take(&open, &described, wish, &TERMS).await.unwrap();
    let waited = lock.method().stops_commits();
    let engine_logs = lock.engine_logs().clone();
    let acknowledged: Vec<_> = clients.iter().map(|client| (client.id, client.acknowledged())).collect();
    // Nothing in here may panic: a server on a frozen filesystem cannot be ended.
    disk.freeze();
    let copied = try_run("cp", &["--sparse=always".as_ref(), image.as_os_str(), copy.as_os_str()]);
    let thawed = disk.try_thaw();
    assert!(copied.status.success() && thawed, "{}", text(&copied));
    unlock(lock).await.held.unwrap();
    for client in clients {
        client.end().await;
    }
    assert_eq!(engine_logs, if waited { EngineLogs::Flushed } else { EngineLogs::WrittenAtCommit });
    assert_eq!(server.sql("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit"), before);

    let data = server.directory().strip_prefix(&disk.point).unwrap().join("data");
    for binlog in if waited { vec![true, false] } else { vec![true] } {
        let this = folder.path().join("this.img");
        let again = try_run("cp", &["--sparse=always".as_ref(), copy.as_os_str(), this.as_os_str()]);
        assert!(again.status.success(), "{}", text(&again));
        let disk = Mount::image(&this, "defaults");
        let recovered = recover(&disk.path(&data), binlog);
        for (id, told) in &acknowledged {
            let there = "SELECT COUNT(*) FROM shop.acknowledged WHERE client";
            let there: u64 = recovered.sql(&format!("{there} = {id} AND number <= {told}")).parse().unwrap();
            assert_eq!(told - there, 0, "client {id} was told of {told} rows, and these are missing; binlog: {binlog}");
        }
    }
}

/// A server of its own on the data directory `data`.
fn recover(data: &Path, binlog: bool) -> DatabaseServer {
    let mut options =
        vec!["--skip-networking", "--skip-grant-tables", "--skip-slave-start", "--innodb-buffer-pool-size=16M"];
    if binlog {
        options.push("--log-bin=binlog");
    } else {
        options.push("--skip-log-bin");
        for entry in std::fs::read_dir(data).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("binlog.") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }
    DatabaseServer::start(data, &options)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_missing_where_the_log_is_synced_at_each_commit() {
    nothing_acknowledged_is_missing(LockWish::Tables, &["--innodb-flush-log-at-trx-commit=1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_missing_where_the_log_is_written_once_in_a_while() {
    nothing_acknowledged_is_missing(LockWish::Tables, &["--innodb-flush-log-at-trx-commit=0"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_missing_where_commits_go_on() {
    nothing_acknowledged_is_missing(LockWish::None, &["--innodb-flush-log-at-trx-commit=1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_missing_where_commits_go_on_and_wait_for_the_file_only() {
    nothing_acknowledged_is_missing(LockWish::None, &["--innodb-flush-log-at-trx-commit=2"]).await;
}
