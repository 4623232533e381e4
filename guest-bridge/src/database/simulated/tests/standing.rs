//! Who the server is, and where it stands.

use super::{SOON, TERMS, described, statements_of_a_lock, unlock};
use crate::{
    call_log::CallLog,
    database::{
        lock::TablesLock,
        scripted::{Outcome, ScriptedDatabase, expect},
        server::{LsnBounds, identify},
        simulated::SimulatedMariaDb,
    },
};

#[tokio::test]
async fn tables_are_counted_only_for_an_account_that_sees_them_all() {
    for (grants, count) in [
        ("GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO `a`@`b`", None),
        ("GRANT SELECT, RELOAD ON *.* TO `a`@`b`", Some(0)),
    ] {
        let server = SimulatedMariaDb::new(CallLog::new()).with_grants(grants);
        assert_eq!(described(&server).await.non_transactional_tables, count, "{grants}");
    }
}

#[tokio::test]
async fn a_refused_count_of_tables_does_not_keep_a_server_from_being_identified() {
    let variables: [&[Option<&str>]; 2] = [&[Some("version"), Some("8.4.3")], &[Some("datadir"), Some("/d/")]];
    let script = [
        expect("SET SESSION max_statement_time = 0").refuses(1193, "unknown"),
        expect("SET SESSION max_execution_time = 0"),
        expect("SET SESSION sql_select_limit"),
        expect("SHOW GLOBAL VARIABLES").returns(&["Variable_name", "Value"], &variables),
        expect("SHOW GRANTS"),
        expect("SELECT COUNT(*)").refuses(1142, "denied"),
        expect("SELECT DISTINCT LEFT(FILE_NAME").refuses(1227, "denied"),
        expect("SHOW REPLICA STATUS").refuses(1227, "denied"),
    ];
    let found = identify(&mut ScriptedDatabase::new(CallLog::new(), script), SOON).await.unwrap();
    assert_eq!(found.non_transactional_tables, None);
    assert_eq!((found.table_directories_seen, found.replicates), (Some(false), None));
}

#[tokio::test]
async fn a_replica_tells_under_the_lock_how_far_it_is() {
    let server = SimulatedMariaDb::new(CallLog::new()).replicating_from("db1");
    let statements = statements_of_a_lock(&server).await;
    let coordinates = statements.iter().position(|it| it == "SHOW MASTER STATUS").unwrap();
    assert_eq!(statements[coordinates + 2], "SHOW ALL SLAVES STATUS");
    let lock = TablesLock::take(&server.opener(), &described(&server).await, &TERMS).await.unwrap();
    let replicates = lock.replicates().unwrap();
    let channel = &replicates.channels[0];
    assert_eq!((channel.source.as_str(), channel.source_log_position), ("db1:3306", Some(1423)));
    assert_eq!(replicates.gtid_slave_pos.as_deref(), Some("0-2-5"));
    unlock(lock).await.held.unwrap();
}

#[tokio::test]
async fn a_server_without_a_binlog_tells_where_its_engine_stands_from_lock_to_unlock() {
    let server = SimulatedMariaDb::new(CallLog::new()).without_binlog();
    let lock = TablesLock::take(&server.opener(), &described(&server).await, &TERMS).await.unwrap();
    assert_eq!(lock.lsn(), Some(LsnBounds { lock: 48214, unlock: None }));
    let ended = unlock(lock).await;
    assert_eq!(ended.lsn, Some(LsnBounds { lock: 48214, unlock: Some(48214) }));
    ended.unlocked.unwrap();
    ended.held.unwrap();
}

#[tokio::test]
async fn an_engine_that_does_not_tell_where_it_stands_is_unlocked_all_the_same() {
    let server = SimulatedMariaDb::new(CallLog::new()).without_binlog();
    let lock = TablesLock::take(&server.opener(), &described(&server).await, &TERMS).await.unwrap();
    let server = server.fails_at("SHOW GLOBAL STATUS", Outcome::Refuses(1227, "denied".to_owned()));
    let ended = unlock(lock).await;
    assert_eq!(ended.lsn, Some(LsnBounds { lock: 48214, unlock: None }));
    ended.unlocked.unwrap();
    assert!(!server.is_locked());
}
