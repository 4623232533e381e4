//! What is found before a dump.

use guest_bridge::{
    database::{
        Credentials,
        net::{Address, NetSession, Tls},
        server::identify,
    },
    dump::{DumpPlan, DumpSurvey, Refusal, TableName, Wanted, survey},
};
use stillpoint_tests::machine::agent::PrivateAgent;

use super::super::server::PrivateServer;
use super::machine::{SOON, login, shared};

async fn found(server: &PrivateServer, wanted: &Wanted) -> DumpSurvey {
    let mut session = server.open()(SOON).await.unwrap();
    let described = identify(&mut *session, SOON).await.unwrap();
    let found = survey(&mut *session, &described, wanted, SOON).await.unwrap();
    session.close().await;
    found
}

fn names(tables: &[TableName]) -> Vec<String> {
    tables.iter().map(|table| format!("{}.{}", table.schema, table.table)).collect()
}

#[tokio::test]
async fn broken_views_are_found_whatever_broke_them() {
    let server = PrivateServer::start();
    server.sql(
        "CREATE TABLE shop.gone (id INT, extra INT); \
         CREATE FUNCTION shop.f() RETURNS INT DETERMINISTIC RETURN 1; \
         CREATE VIEW shop.no_table AS SELECT id FROM shop.gone; \
         CREATE VIEW shop.`o'd``d` AS SELECT * FROM shop.no_table; \
         CREATE VIEW shop.no_column AS SELECT id, note FROM (SELECT 1 AS id, 2 AS note) AS t; \
         CREATE VIEW shop.no_function AS SELECT shop.f() AS n; \
         CREATE VIEW shop.healthy AS SELECT id FROM shop.orders; \
         DROP TABLE shop.gone; DROP FUNCTION shop.f",
    );
    for wanted in [Wanted::Everything, Wanted::Schemas(vec!["shop".to_owned()])] {
        let found = found(&server, &wanted).await;
        let views: Vec<TableName> = found.broken_views.iter().map(|broken| broken.view.clone()).collect();
        let mut names = names(&views);
        names.sort();
        assert_eq!(names, ["shop.no_function", "shop.no_table", "shop.o'd`d"]);
        assert!(
            found
                .broken_views
                .iter()
                .all(|broken| broken.problem.contains("exist") || broken.problem.contains("invalid")),
            "{found:?}"
        );
    }
    assert_eq!(found(&server, &Wanted::Schemas(vec!["other".to_owned()])).await.broken_views, []);
}

#[tokio::test]
async fn tables_without_transactions_are_named() {
    let server = PrivateServer::start();
    server.sql("CREATE TABLE shop.old (id INT) ENGINE=MyISAM; CREATE TABLE shop.brief (id INT) ENGINE=MEMORY");
    let found = found(&server, &Wanted::Everything).await;
    assert_eq!(
        (names(&found.non_transactional), found.non_transactional_count),
        (vec!["shop.brief".to_owned(), "shop.old".to_owned()], 2)
    );
    assert!(found.estimated_bytes.is_some());
    assert_eq!((found.missing_privileges, found.grant, found.row_limit), (vec![], None, None));
}

/// The client would give a dump with one row of each table, exit code 0 and an end mark.
#[tokio::test]
async fn a_server_that_cuts_results_short_is_refused() {
    let server = PrivateServer::start();
    server.sql("SET GLOBAL sql_select_limit = 1");
    let found = found(&server, &Wanted::Everything).await;
    assert_eq!(found.row_limit, Some(1));
    let described = identify(&mut *server.open()(SOON).await.unwrap(), SOON).await.unwrap();
    let refused = DumpPlan::new(&described, &Wanted::Everything, &found, false).unwrap_err();
    assert_eq!(refused, Refusal::RowLimit { rows: 1 });
}

#[tokio::test]
async fn an_account_is_told_the_grant_with_which_its_dump_is_whole() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    server.sql(
        "CREATE USER small IDENTIFIED BY 'x'; CREATE VIEW shop.v AS SELECT * FROM shop.orders; \
                CREATE TRIGGER shop.t BEFORE INSERT ON shop.orders FOR EACH ROW SET NEW.id = NEW.id + 0; \
                CREATE PROCEDURE shop.p() SELECT 1; CREATE EVENT shop.e ON SCHEDULE EVERY 1 DAY DO DO 1",
    );
    let credentials = Credentials::new("small", Some("x".to_owned()));
    let open = NetSession::opener(Address::Unix(server.socket()), credentials.clone(), Tls::default());
    let mut session = open(SOON).await.unwrap();
    let described = identify(&mut *session, SOON).await.unwrap();
    let lacks = survey(&mut *session, &described, &Wanted::Everything, SOON).await.unwrap();
    server.sql(&lacks.grant.unwrap());
    let mut session = open(SOON).await.unwrap();
    let described = identify(&mut *session, SOON).await.unwrap();
    let found = survey(&mut *session, &described, &Wanted::Everything, SOON).await.unwrap();
    let plan = DumpPlan::new(&described, &Wanted::Everything, &found, false).unwrap();
    let login = guest_bridge::dump::Login { credentials: Some(credentials), ..login(&server) };
    let name = guest_bridge::dump::DumpName::new();
    let started =
        guest_bridge::dump::DumpStream::start(shared(&agent), name, &login, &plan.arguments, super::machine::TERMS);
    let mut stream = started.await.unwrap();
    let (dump, ended) = super::machine::carried(&mut stream).await.unwrap();
    assert_eq!(guest_bridge::dump::verdict(&ended), Ok(()), "{ended:?}");
    let dump = String::from_utf8_lossy(&dump);
    for object in ["VIEW `v`", "TRIGGER", "PROCEDURE `p`", "EVENT `e`"] {
        assert!(dump.contains(object), "{object}");
    }
    stream.close().await.unwrap();
}
