//! The wire over a socket.

use std::time::Duration;

use guest_bridge::database::{
    Credentials, Database, DatabaseError,
    net::{Address, NetSession, Tls},
    privileges::prove,
    server::{Flavour, identify},
};

use stillpoint_tests::machine::database_product::Product;

use super::locking::lock_of;
use super::server::{PASSWORD, PrivateServer};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn both_sockets_lead_to_the_same_server() {
    let server = PrivateServer::start();
    let unix = Address::Unix(server.socket());
    let tcp = Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port };
    for address in [unix, tcp] {
        let credentials = Credentials::new("stillpoint", Some(PASSWORD.to_owned()));
        let mut session = NetSession::open(&address, &credentials, &Tls::default(), SOON).await.unwrap();
        let found = identify(&mut session, SOON).await.unwrap();
        let flavour = match server.product() {
            Product::MariaDb => Flavour::MariaDb,
            Product::MySql => Flavour::MySql,
        };
        assert_eq!(found.flavour, flavour);
        assert_eq!(found.datadir, server.directory().join("data"));
        assert!(found.log_bin && !found.read_only && !found.galera, "{found:?}");
        assert_eq!(found.non_transactional_tables, Some(0));
        Box::new(session).close().await;
    }
}

#[tokio::test]
async fn what_a_server_promises_of_its_commits_is_recorded() {
    let options = ["--innodb-flush-log-at-trx-commit=2", "--sync-binlog=7", "--skip-innodb-doublewrite"];
    let server = PrivateServer::start_with(&options);
    let found = identify(&mut *server.open()(SOON).await.unwrap(), SOON).await.unwrap();
    assert_eq!((found.innodb_flush_log_at_trx_commit, found.sync_binlog), (Some(2), Some(7)));
    assert_eq!(found.innodb_doublewrite.as_deref(), Some("OFF"));
}

#[tokio::test]
async fn an_account_that_need_not_see_every_table_does_not_say_that_there_is_none_without_transactions() {
    let server = PrivateServer::start();
    server.sql("CREATE TABLE shop.old (id INT) ENGINE=MyISAM");
    for (name, more, count) in [("small", "", None), ("large", ", SELECT", Some(1))] {
        let monitor = server.binlog_privilege();
        server.sql(&format!("CREATE USER {name}; GRANT RELOAD, PROCESS, {monitor}{more} ON *.* TO {name}"));
        let address = Address::Unix(server.socket());
        let mut session =
            NetSession::open(&address, &Credentials::new(name, None), &Tls::default(), SOON).await.unwrap();
        assert_eq!(identify(&mut session, SOON).await.unwrap().non_transactional_tables, count, "{name}");
        Box::new(session).close().await;
    }
}

#[tokio::test]
async fn an_account_that_may_not_lock_is_refused_without_a_lock_and_the_hint_mends_it() {
    let server = PrivateServer::start();
    server.sql("CREATE USER small");
    let open = NetSession::opener(Address::Unix(server.socket()), Credentials::new("small", None), Tls::default());
    let monitor = server.binlog_privilege();
    let both = format!("RELOAD and {monitor}");
    for (grant, missing) in [("USAGE", &*both), ("RELOAD", monitor), (monitor, "RELOAD")] {
        server.sql(&format!("REVOKE ALL ON *.* FROM small; GRANT {grant} ON *.* TO small"));
        let mut session = open(SOON).await.unwrap();
        let found = identify(&mut *session, SOON).await.unwrap();
        let error = prove(&mut *session, &found, lock_of(&found), SOON).await.unwrap_err();
        assert!(matches!(&error, DatabaseError::MayNot { missing: named, .. } if named == missing), "{error:?}");
        let hint = error.hint().unwrap();
        server.sql(hint.strip_prefix("on the server: ").unwrap());
        let mut session = open(SOON).await.unwrap();
        let found = identify(&mut *session, SOON).await.unwrap();
        assert_eq!(prove(&mut *session, &found, lock_of(&found), SOON).await.unwrap(), [], "one statement is enough");
    }
}

#[tokio::test]
async fn an_administrator_may_all() {
    let server = PrivateServer::start();
    let mut session = server.open()(SOON).await.unwrap();
    let found = identify(&mut *session, SOON).await.unwrap();
    assert_eq!(prove(&mut *session, &found, lock_of(&found), SOON).await.unwrap(), []);
}

#[tokio::test]
async fn a_server_that_is_full_is_not_taken_for_one_that_is_not_there() {
    let server = PrivateServer::start();
    server.sql("CREATE USER few WITH MAX_USER_CONNECTIONS 1");
    let open = NetSession::opener(Address::Unix(server.socket()), Credentials::new("few", None), Tls::default());
    let first = open(SOON).await.unwrap();
    let error = open(SOON).await.err().unwrap();
    assert!(matches!(&error, DatabaseError::TurnedAway { code: Some(1226), .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("max_connections"), "{:?}", error.hint());
    first.close().await;
}

#[tokio::test]
async fn a_wrong_password_is_said_without_showing_it() {
    let server = PrivateServer::start();
    let wrong = Credentials::new("stillpoint", Some("geheim".to_owned()));
    let error = NetSession::open(&Address::Unix(server.socket()), &wrong, &Tls::default(), SOON).await.err().unwrap();
    assert!(matches!(error, DatabaseError::AccessDenied { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
    assert!(error.to_string().contains("stillpoint"), "{error}");
}

#[tokio::test]
async fn where_nobody_listens_the_address_is_named() {
    let address = Address::Unix("/nonexistent/mysqld.sock".into());
    let error = NetSession::open(&address, &Credentials::new("root", None), &Tls::default(), SOON).await.err().unwrap();
    assert!(matches!(&error, DatabaseError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("/nonexistent/mysqld.sock"), "{error}");
}

#[tokio::test]
async fn null_and_empty_and_strange_bytes_keep_apart() {
    let server = PrivateServer::start();
    let mut session = server.open()(SOON).await.unwrap();
    let rows = session.query("SELECT NULL AS a, '' AS b, 'x\ty' AS c, X'ff' AS d", SOON).await.unwrap();
    assert_eq!(rows.columns, ["a", "b", "c", "d"]);
    assert_eq!([rows.get(0, "a"), rows.get(0, "B"), rows.get(0, "c")], [None, Some(""), Some("x\ty")]);
    assert_eq!(rows.get(0, "d"), Some("\u{fffd}"));
}

#[tokio::test]
async fn an_error_of_the_server_leaves_the_session_usable() {
    let server = PrivateServer::start();
    let mut session = server.open()(SOON).await.unwrap();
    let error = session.query("SELECT nonsense", SOON).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Server { code: 1054, .. }), "{error:?}");
    assert_eq!(session.query("SELECT 7 AS n", SOON).await.unwrap().get(0, "n"), Some("7"));
}

#[tokio::test]
async fn after_a_timeout_no_reply_is_taken_for_that_of_another() {
    let server = PrivateServer::start();
    let mut session = server.open()(SOON).await.unwrap();
    let error = session.query("SELECT SLEEP(600), 'late'", Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, DatabaseError::TimedOut { .. }), "{error:?}");
    let error = session.query("SELECT 'next'", SOON).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Closed { .. }), "{error:?}");
    session.close().await;
    assert_eq!(
        server.sql(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%late%' AND ID <> CONNECTION_ID()"
        ),
        "0"
    );
}

#[tokio::test]
async fn a_dropped_call_ends_its_statement_on_the_server_too() {
    let server = PrivateServer::start();
    let mut session = server.open()(SOON).await.unwrap();
    let cancelled =
        tokio::time::timeout(Duration::from_millis(200), session.query("SELECT SLEEP(600), 'dropped'", SOON)).await;
    assert!(cancelled.is_err());
    session.close().await;
    assert_eq!(
        server.sql(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%dropped%' AND ID <> CONNECTION_ID()"
        ),
        "0"
    );
}
