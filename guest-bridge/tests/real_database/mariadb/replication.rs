//! Where a real server keeps what, from whom it replicates, and how far it is.

use std::{fs, path::Path};

use guest_bridge::database::{
    Credentials,
    lock::TablesLock,
    net::{Address, NetSession, Tls},
    privileges::prove,
    server::wait_for_synced,
};

use crate::channel::the_channel_east;
use crate::locking::lock_of;
use crate::locking::{SOON, TERMS, described, unlock};
use crate::server::PrivateServer;

#[tokio::test]
async fn directories_of_tables_outside_are_told_to_an_account_that_may_see_them() {
    let outside = tempfile::tempdir().unwrap();
    let server = PrivateServer::start();
    let path = outside.path().display();
    server.sql(&format!("CREATE TABLE shop.far (id INT) DATA DIRECTORY='{path}'; CREATE USER small"));
    let found = described(&server.open()).await;
    assert_eq!(found.other_data_directories, [outside.path().join("shop")]);
    assert_eq!(found.table_directories_seen, Some(true));
    assert_eq!(found.data_directories(), [server.directory().join("data"), outside.path().join("shop")]);

    let small = NetSession::opener(Address::Unix(server.socket()), Credentials::new("small", None), Tls::default());
    let found = described(&small).await;
    assert_eq!((found.other_data_directories, found.table_directories_seen), (vec![], Some(false)));
}

#[tokio::test]
async fn logs_that_lie_elsewhere_are_told_with_their_directories() {
    let outside = tempfile::tempdir().unwrap();
    let [binlog, relay, aria] = ["binlog", "relay", "aria"].map(|name| outside.path().join(name));
    for folder in [&binlog, &relay, &aria] {
        fs::create_dir(folder).unwrap();
    }
    let option = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let options = [
        option("log-bin", &binlog.join("bin")),
        option("relay-log", &relay.join("bin")),
        option("aria-log-dir-path", &aria),
    ];
    let server = PrivateServer::start_with(&options.each_ref().map(String::as_str));
    let found = described(&server.open()).await;
    assert_eq!(found.other_data_directories, [binlog.clone(), relay, aria]);
    assert_eq!(found.log_bin_basename, Some(binlog.join("bin")));
    assert_eq!(found.log_bin_index, Some(binlog.join("bin.index")));
}

#[tokio::test]
async fn a_replica_tells_its_source_and_how_far_it_is_under_the_lock() {
    let source = PrivateServer::start_with(&["--log-bin=binlog", "--server-id=1"]);
    let options =
        ["--log-bin=binlog", "--server-id=2", "--slave-parallel-threads=2", "--slave-parallel-mode=optimistic"];
    let replica = PrivateServer::start_with(&options);
    source.sql("CREATE USER copy IDENTIFIED BY 'x'; GRANT REPLICATION SLAVE ON *.* TO copy");
    replica.sql(&format!(
        "CHANGE MASTER 'east' TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='copy', \
         MASTER_PASSWORD='x', MASTER_USE_GTID=slave_pos; SET GLOBAL gtid_slave_pos='{}'; START ALL SLAVES",
        source.port,
        source.gtids_written(),
    ));
    source.sql("CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (7)");
    let written = source.gtids_written();
    let applied = replica.sql(&format!("SELECT MASTER_GTID_WAIT('{written}', 10)"));
    assert_eq!(applied, "0", "{}", replica.sql("SHOW ALL SLAVES STATUS"));

    assert_eq!(described(&source.open()).await.replicates.unwrap().channels, []);
    let found = described(&replica.open()).await;
    assert_eq!(found.slave_parallel_mode.as_deref(), Some("optimistic"));
    let mut session = replica.open()(SOON).await.unwrap();
    let remarks = prove(&mut *session, &found, lock_of(&found), SOON).await.unwrap();
    assert!(remarks.iter().any(|remark| remark.text.contains("optimistic")), "{remarks:?}");
    assert_eq!(wait_for_synced(&mut *session, SOON).await.unwrap().filter(|state| !state.is_empty()), None);

    let lock = TablesLock::take(&replica.open(), &found, &TERMS).await.unwrap();
    // It applies nothing more: what it tells is what an image of it has.
    source.sql("INSERT INTO shop.t VALUES (8)");
    let replicates = lock.replicates().unwrap().clone();
    let channel = the_channel_east(&replicates, &source);
    assert_eq!((replicates.gtid_slave_pos.as_ref(), channel.gtid.as_ref()), (Some(&written), Some(&written)));
    assert_eq!(replica.sql("SELECT MAX(id) FROM shop.t"), "7");
    unlock(lock).await.held.unwrap();
}

#[tokio::test]
async fn a_server_without_a_binlog_tells_where_its_redo_log_stands() {
    let server = PrivateServer::start_with(&[]);
    let found = described(&server.open()).await;
    let lock = TablesLock::take(&server.open(), &found, &TERMS).await.unwrap();
    assert_eq!(lock.coordinates(), None);
    let ended = unlock(lock).await;
    ended.held.unwrap();
    let bounds = ended.lsn.unwrap();
    assert!(bounds.lock > 0 && bounds.unlock.unwrap() >= bounds.lock, "{bounds:?}");
}

#[tokio::test]
async fn an_account_that_may_not_see_replication_does_not_know_and_the_remark_mends_it() {
    let server = PrivateServer::start();
    server.sql("CREATE USER small; GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO small");
    let open = NetSession::opener(Address::Unix(server.socket()), Credentials::new("small", None), Tls::default());
    let found = described(&open).await;
    assert_eq!(found.replicates, None);
    let remarks = prove(&mut *open(SOON).await.unwrap(), &found, lock_of(&found), SOON).await.unwrap();
    let [remark] = &remarks[..] else { panic!("{remarks:?}") };
    server.sql(remark.text.split_once("on the server: ").unwrap().1);
    let found = described(&open).await;
    assert_eq!(found.replicates.as_ref().unwrap().channels, []);
    assert_eq!(prove(&mut *open(SOON).await.unwrap(), &found, lock_of(&found), SOON).await.unwrap(), []);
}
