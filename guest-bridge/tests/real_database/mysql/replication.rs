//! Where a MySQL keeps what, from whom it replicates, and how far it is.

use guest_bridge::database::{
    Credentials,
    lock::TablesLock,
    net::{Address, NetSession, Tls},
};

use crate::channel::the_channel_east;
use crate::locking::{TERMS, described, unlock};
use crate::server::PrivateServer;

#[tokio::test]
#[ignore = "needs a MySQL"]
async fn directories_of_tables_outside_are_told_to_an_account_that_may_see_them() {
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().display();
    let server = PrivateServer::start_with(&[&format!("--innodb-directories={path}")]);
    server.sql(&format!("CREATE TABLE shop.far (id INT) DATA DIRECTORY='{path}'; CREATE USER small"));
    let found = described(&server.open()).await;
    assert_eq!(found.other_data_directories, [outside.path().to_owned(), outside.path().join("shop")]);
    assert_eq!(found.table_directories_seen, Some(true));

    let small = NetSession::opener(Address::Unix(server.socket()), Credentials::new("small", None), Tls::default());
    let found = described(&small).await;
    assert_eq!(found.other_data_directories, [outside.path()]);
    assert_eq!(found.table_directories_seen, Some(false));
}

#[tokio::test]
#[ignore = "needs a MySQL"]
async fn a_replica_tells_its_source_and_how_far_it_is_under_the_lock() {
    let with_gtids = ["--log-bin=binlog", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"];
    let source = PrivateServer::start_with(&[&with_gtids[..], &["--server-id=1"]].concat());
    let replica = PrivateServer::start_with(&[&with_gtids[..], &["--server-id=2"]].concat());
    source.sql("CREATE USER copy IDENTIFIED BY 'x'; GRANT REPLICATION SLAVE ON *.* TO copy");
    replica.sql(&format!(
        "SET GLOBAL gtid_purged = '+{}'; CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={}, \
         SOURCE_USER='copy', SOURCE_PASSWORD='x', GET_SOURCE_PUBLIC_KEY=1, SOURCE_AUTO_POSITION=1 FOR CHANNEL 'east'; \
         START REPLICA FOR CHANNEL 'east'",
        source.gtids_written(),
        source.port,
    ));
    source.sql("CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (7)");
    let written = source.gtids_written();
    let applied = replica.sql(&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{written}', 20)"));
    assert_eq!(applied, "0", "{}", replica.sql("SHOW REPLICA STATUS"));

    assert_eq!(described(&source.open()).await.replicates.unwrap().channels, []);
    let found = described(&replica.open()).await;
    let lock = TablesLock::take(&replica.open(), &found, &TERMS).await.unwrap();
    // It applies nothing more: what it tells is what an image of it has.
    source.sql("INSERT INTO shop.t VALUES (8)");
    let replicates = lock.replicates().unwrap().clone();
    let channel = the_channel_east(&replicates, &source);
    assert!(channel.gtid.as_ref().unwrap().contains(&written), "{channel:?}, {written}");
    assert_eq!(replica.sql("SELECT MAX(id) FROM shop.t"), "7");
    unlock(lock).await.held.unwrap();
}

#[tokio::test]
#[ignore = "needs a MySQL"]
async fn a_member_of_a_replication_group_is_known_by_its_groups_name() {
    let server = PrivateServer::start();
    assert_eq!(described(&server.open()).await.replication_group, None);
    server.sql("INSTALL PLUGIN group_replication SONAME 'group_replication.so'");
    let name = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    server.sql(&format!("SET GLOBAL group_replication_group_name = '{name}'"));
    assert_eq!(described(&server.open()).await.replication_group.as_deref(), Some(name));
}
