//! A node of a real Galera cluster: one of a single node, of which nobody outside this machine knows.

use std::{net::TcpListener, path::Path};

use guest_bridge::database::{
    lock::TablesLock,
    server::{identify, wait_for_synced},
};

use crate::locking::{SOON, TERMS};
use crate::server::PrivateServer;

/// Where Debian's galera-4 has the library.
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";

fn start_node() -> PrivateServer {
    assert!(Path::new(PROVIDER).exists(), "{PROVIDER} is needed (Debian's galera-4)");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).unwrap().port();
    let options = [
        "--wsrep-on=ON",
        &format!("--wsrep-provider={PROVIDER}"),
        "--wsrep-cluster-address=gcomm://",
        "--wsrep-node-address=127.0.0.1",
        &format!("--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{port};gcache.size=16M"),
        "--binlog-format=ROW",
        "--log-bin=binlog",
        "--innodb-autoinc-lock-mode=2",
    ];
    PrivateServer::start_with(&options)
}

fn status(node: &PrivateServer, name: &str) -> String {
    let status = node.sql(&format!("SHOW GLOBAL STATUS LIKE '{name}'"));
    status.split_once('\t').unwrap().1.to_owned()
}

#[tokio::test]
async fn a_node_tells_where_it_stands_under_the_lock_and_takes_part_again_after_it() {
    let node = start_node();
    let open = node.open();
    let mut session = open(SOON).await.unwrap();
    let described = identify(&mut *session, SOON).await.unwrap();
    session.close().await;
    assert!(described.galera);

    node.sql("INSERT INTO shop.orders VALUES (1)");
    let mut lock = TablesLock::take(&open, &described, &TERMS).await.unwrap();
    let galera = lock.galera().unwrap().clone();
    assert_eq!(galera.cluster_uuid, status(&node, "wsrep_cluster_state_uuid"));
    assert_eq!(galera.seqno.to_string(), status(&node, "wsrep_last_committed"));
    assert_eq!(galera.state, "Donor/Desynced", "the lock takes the node out of the cluster's flow");

    lock.let_go(SOON).await.held.unwrap();
    assert_eq!(lock.wait_for_synced(SOON).await.unwrap().as_deref(), Some("Synced"));
    lock.close().await;
    node.sql("INSERT INTO shop.orders VALUES (2)");
    assert_eq!(status(&node, "wsrep_last_committed"), (galera.seqno + 1).to_string(), "one transaction later");
    let mut session = open(SOON).await.unwrap();
    assert_eq!(wait_for_synced(&mut *session, SOON).await.unwrap().as_deref(), Some("Synced"));
}
