//! A dump of everything, made while clients write, is loaded into another server; that replicates from the dump's coordinates on, and then
//! has the same rows and objects: nothing of it was lost, and nothing was in it twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use guest_bridge::{
    database::{
        OpenSession, Timed,
        lock::LockTerms,
        server::{Coordinates, Server, identify},
    },
    dump::{
        CoordinatesFrom, DumpName, DumpPlan, DumpStream, DumpSurvey, Hold, Wanted, begin, survey, verdict,
        written_coordinates,
    },
};
use stillpoint_tests::machine::{agent::PrivateAgent, database_product::Product};

use super::super::server::PrivateServer;
use super::machine::{SOON, TERMS, carried, fill, left_of, login, shared};

const LOCK: LockTerms =
    LockTerms { lock_deadline: Duration::from_secs(20), expiry: Duration::from_secs(60), statement_deadline: SOON };

const OBJECTS: &str = r#"
    CREATE TABLE shop.items (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) CHARACTER SET utf8mb4, data BLOB, bits BIT(10),
        doc JSON, price DECIMAL(10,2), qty INT, twice INT GENERATED ALWAYS AS (qty * 2) VIRTUAL, spot POINT, FULLTEXT (name));
    INSERT INTO shop.items (name, data, bits, doc, price, qty, spot) VALUES
        ('a "quoted" ''€'' \\ \n line', UNHEX('00010A0D1A22275C5F25FFFE'), b'1011', '{"a": [1, "€"]}', 1.10, 7, POINT(1, 2)),
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    CREATE TABLE shop.`lines` (id INT PRIMARY KEY AUTO_INCREMENT, item INT, pad VARCHAR(200), FOREIGN KEY (item) REFERENCES shop.items (id));
    CREATE TABLE shop.parts (id INT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 3;
    INSERT INTO shop.parts VALUES (1, 1), (2, 2), (3, 3);
    CREATE DATABASE `odd ``name€`;
    CREATE TABLE `odd ``name€`.`t'a"b` (id INT PRIMARY KEY, `c``d` INT);
    INSERT INTO `odd ``name€`.`t'a"b` VALUES (1, 2);
    CREATE FUNCTION shop.plus(a INT) RETURNS INT DETERMINISTIC RETURN a + 1;
    CREATE PROCEDURE shop.count_items() SELECT COUNT(*) FROM shop.items;
    CREATE VIEW shop.cheap AS SELECT id, shop.plus(id) AS next FROM shop.items WHERE price < 5;
    CREATE VIEW shop.cheaper AS SELECT * FROM shop.cheap WHERE id < 3;
    CREATE TABLE shop.gone (id INT);
    CREATE VIEW shop.broken AS SELECT * FROM shop.gone;
    DROP TABLE shop.gone;
    CREATE TRIGGER shop.second BEFORE INSERT ON shop.parts FOR EACH ROW SET NEW.v = NEW.v + 1;
    CREATE TRIGGER shop.first BEFORE INSERT ON shop.parts FOR EACH ROW PRECEDES second SET NEW.v = NEW.v * 2;
    CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.parts WHERE id > 100;
    CREATE USER shopper@localhost IDENTIFIED BY 'x';
    GRANT SELECT (id), UPDATE ON shop.items TO shopper@localhost;
    GRANT EXECUTE ON FUNCTION shop.plus TO shopper@localhost;
    CREATE ROLE clerk;
    GRANT SELECT ON shop.* TO clerk;
    GRANT clerk TO shopper@localhost;
"#;
const OF_MARIADB: &str = r"
    CREATE SEQUENCE shop.numbers START WITH 5;
    SELECT NEXTVAL(shop.numbers);
    CREATE TABLE shop.versioned (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING;
    INSERT INTO shop.versioned VALUES (1, 1), (2, 2);
    UPDATE shop.versioned SET v = v + 10;
    CREATE TABLE shop.hidden (id INT PRIMARY KEY, unseen INT INVISIBLE DEFAULT 4);
    INSERT INTO shop.hidden (id) VALUES (1);
";
const OF_MYSQL: &str = r"
    CREATE TABLESPACE ts1 ADD DATAFILE 'ts1.ibd' ENGINE = InnoDB;
    CREATE TABLE shop.placed (id INT PRIMARY KEY) TABLESPACE ts1;
    INSERT INTO shop.placed VALUES (1), (2);
    ANALYZE TABLE shop.items UPDATE HISTOGRAM ON qty;
";

/// What is compared, each as one text.
const COMPARED: [&str; 8] = [
    "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION, DEFINER, SECURITY_TYPE FROM information_schema.VIEWS \
     WHERE TABLE_SCHEMA NOT IN ('sys') AND TABLE_NAME <> 'broken' ORDER BY 1, 2",
    "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_DEFINITION, DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'shop' ORDER BY 2",
    "SELECT EVENT_NAME, EVENT_DEFINITION, DEFINER, INTERVAL_VALUE FROM information_schema.EVENTS ORDER BY 1",
    "SELECT TRIGGER_NAME, ACTION_STATEMENT, ACTION_ORDER, DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop' ORDER BY 1",
    "SHOW GRANTS FOR shopper@localhost",
    "SHOW GRANTS FOR clerk",
    "SHOW CREATE TABLE shop.items",
    "SHOW CREATE TABLE shop.parts",
];

/// Inserts until it is told to stop. Each transaction has a row in two tables.
async fn write(open: OpenSession, stop: Arc<AtomicBool>) -> u64 {
    let mut session = open(SOON).await.unwrap();
    let mut written = 0;
    while !stop.load(Ordering::SeqCst) {
        let batch = [
            "BEGIN".to_owned(),
            format!("INSERT INTO shop.items (name, qty) VALUES ('written', {written})"),
            "INSERT INTO shop.`lines` (item, pad) VALUES (LAST_INSERT_ID(), REPEAT('p', 100))".to_owned(),
            "COMMIT".to_owned(),
        ];
        let mut answers = session.batch(&batch.map(|statement| Timed::new(statement, SOON))).await;
        for _ in 0..4 {
            answers.next().unwrap();
        }
        written += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    session.close().await;
    written
}

fn checksums(server: &PrivateServer) -> String {
    let tables = server.sql(
        "SELECT GROUP_CONCAT(CONCAT('`', REPLACE(TABLE_SCHEMA, '`', '``'), '`.`', REPLACE(TABLE_NAME, '`', '``'), '`') \
         ORDER BY TABLE_SCHEMA, TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_TYPE <> 'VIEW' \
         AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')",
    );
    server.sql(&format!("CHECKSUM TABLE {tables} EXTENDED"))
}

/// Has `replica` apply what `source` has written since `from`.
fn replicate(source: &PrivateServer, replica: &PrivateServer, from: &Coordinates) {
    source.sql("CREATE USER copy IDENTIFIED BY 'x'; GRANT REPLICATION SLAVE ON *.* TO copy");
    let Coordinates { file, position, .. } = from;
    let port = source.port;
    let status = source.binlog_status();
    let mut now = status.split('\t');
    let (at_file, at_position) = (now.next().unwrap(), now.next().unwrap());
    let (begin, applied, problem) = match source.product() {
        Product::MariaDb => (
            format!(
                "SET GLOBAL gtid_slave_pos = ''; CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='copy', \
                 MASTER_PASSWORD='x', MASTER_LOG_FILE='{file}', MASTER_LOG_POS={position}, MASTER_USE_GTID=no; START SLAVE"
            ),
            format!("SELECT MASTER_POS_WAIT('{at_file}', {at_position}, 60)"),
            "SHOW SLAVE STATUS",
        ),
        Product::MySql => (
            format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='copy', SOURCE_PASSWORD='x', \
                 SOURCE_LOG_FILE='{file}', SOURCE_LOG_POS={position}, GET_SOURCE_PUBLIC_KEY=1; START REPLICA"
            ),
            format!("SELECT SOURCE_POS_WAIT('{at_file}', {at_position}, 60)"),
            "SHOW REPLICA STATUS",
        ),
    };
    replica.sql(&begin);
    let applied = replica.sql(&applied);
    assert!(applied.parse::<u64>().is_ok(), "{applied}: {}", replica.sql(problem));
}

async fn start_of(
    agent: &PrivateAgent,
    server: &PrivateServer,
    described: &Server,
    plan: &DumpPlan,
    name: &DumpName,
    hold: Option<Hold>,
) -> guest_bridge::dump::Begun {
    let login = login(server);
    let start = DumpStream::start(shared(agent), name.clone(), &login, &plan.arguments, TERMS);
    match hold {
        Some(hold) => begin(&server.open(), described, &LOCK, hold, SOON, start).await.unwrap(),
        None => guest_bridge::dump::Begun {
            stream: start.await.unwrap(),
            coordinates: None,
            stall: Duration::ZERO,
            lock: None,
        },
    }
}

async fn is_the_same_on_another_server(locks_everything: bool) {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start_with(&["--log-bin=binlog", "--server-id=1"]));
    server.sql(OBJECTS);
    server.sql(if server.product() == Product::MariaDb { OF_MARIADB } else { OF_MYSQL });
    if locks_everything {
        server.sql("CREATE TABLE shop.old (id INT PRIMARY KEY AUTO_INCREMENT, pad VARCHAR(100)) ENGINE=MyISAM");
    }
    fill(&server, 10);
    let mut session = server.open()(SOON).await.unwrap();
    let described = identify(&mut *session, SOON).await.unwrap();
    let found = survey(&mut *session, &described, &Wanted::Everything, SOON).await.unwrap();
    session.close().await;
    let plan = DumpPlan::new(&described, &Wanted::Everything, &found, locks_everything).unwrap();
    assert!(plan.losses.iter().all(|loss| loss.to_string().contains("broken")), "{:?}", plan.losses);

    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(server.open(), stop.clone()));
    let name = DumpName::new();
    let hold = match (locks_everything, plan.coordinates) {
        (true, _) => Some(Hold::Dump),
        (false, CoordinatesFrom::OwnLock) => Some(Hold::Snapshot),
        (false, _) => None,
    };
    let mut begun = start_of(&agent, &server, &described, &plan, &name, hold).await;
    let (dump, ended) = carried(&mut begun.stream).await.unwrap();
    if let Some(mut lock) = begun.lock.take() {
        lock.let_go(SOON).await.held.unwrap();
        lock.close().await;
    }
    begun.stream.close().await.unwrap();
    stop.store(true, Ordering::SeqCst);
    assert!(writer.await.unwrap() > 0);
    assert_eq!(verdict(&ended), Ok(()), "{}", ended.stderr);
    assert_eq!(left_of(&name), [""; 0]);
    let written = written_coordinates(&ended);
    let coordinates = match plan.coordinates {
        CoordinatesFrom::Dump => written.unwrap(),
        _ => begun.coordinates.unwrap(),
    };
    assert!(server.product() == Product::MySql || coordinates.gtid.is_some(), "{coordinates:?}");

    let other = PrivateServer::start_with(&["--log-bin=binlog", "--server-id=2"]);
    for statement in &plan.before_loading {
        other.sql(statement);
    }
    other.load(&dump);
    for statement in &plan.after_loading {
        other.sql(statement);
    }
    replicate(&server, &other, &coordinates);
    assert_eq!(checksums(&other), checksums(&server));
    for compared in COMPARED {
        assert_eq!(other.sql(compared), server.sql(compared), "{compared}");
    }
}

#[tokio::test]
async fn one_schema_or_table_is_dumped_with_what_belongs_to_it() {
    let (agent, server) = (PrivateAgent::start(&[]), PrivateServer::start());
    server.sql(
        "CREATE DATABASE `-o'd``d`; CREATE TABLE `-o'd``d`.`--t t` (id INT PRIMARY KEY); INSERT INTO `-o'd``d`.`--t t` VALUES (7); \
         CREATE TABLE `-o'd``d`.other (id INT); CREATE PROCEDURE `-o'd``d`.p() SELECT 1; INSERT INTO shop.orders VALUES (9)",
    );
    let odd = || "-o'd`d".to_owned();
    let described = identify(&mut *server.open()(SOON).await.unwrap(), SOON).await.unwrap();
    let names = |other: &PrivateServer| {
        other.sql("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '-o''d`d' ORDER BY 1")
    };
    for (wanted, tables, routines) in [
        (Wanted::Schemas(vec![odd()]), "--t t\nother", "p"),
        (Wanted::Tables { schema: odd(), tables: vec!["--t t".to_owned()] }, "--t t", ""),
    ] {
        let mut session = server.open()(SOON).await.unwrap();
        let found = survey(&mut *session, &described, &wanted, SOON).await.unwrap();
        let plan = DumpPlan::new(&described, &wanted, &found, false).unwrap();
        let mut stream = start_of(&agent, &server, &described, &plan, &DumpName::new(), None).await.stream;
        let (dump, ended) = carried(&mut stream).await.unwrap();
        stream.close().await.unwrap();
        assert_eq!(verdict(&ended), Ok(()), "{}", ended.stderr);
        let other = PrivateServer::start();
        other.sql("CREATE DATABASE `-o'd``d`");
        other.load(&[b"USE `-o'd``d`;\n", &dump[..]].concat());
        assert_eq!(names(&other), tables);
        assert_eq!(other.sql("SELECT id FROM `-o'd``d`.`--t t`"), "7");
        assert_eq!(other.sql("SELECT COUNT(*) FROM shop.orders"), "0");
        let named = "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA LIKE '-o%'";
        assert_eq!(other.sql(named), routines);
    }
}

/// Its own would wait for a year, with every writer behind it.
#[tokio::test]
async fn the_client_asks_for_no_lock_of_the_whole_server() {
    let options = ["--log-bin=binlog", "--server-id=1"];
    let with_gtids = ["--gtid-mode=ON", "--enforce-gtid-consistency=ON"];
    let agent = PrivateAgent::start(&[]);
    let plain = PrivateServer::start_with(&options);
    let of_mysql = plain.product() == Product::MySql;
    let gtids = of_mysql.then(|| PrivateServer::start_with(&[&options[..], &with_gtids].concat()));
    for server in [Some(plain), gtids].iter().flatten() {
        let described = identify(&mut *server.open()(SOON).await.unwrap(), SOON).await.unwrap();
        for wanted in [Wanted::Everything, Wanted::Schemas(vec!["shop".to_owned()])] {
            server.sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON");
            let plan = DumpPlan::new(&described, &wanted, &DumpSurvey::default(), false).unwrap();
            let begun = start_of(&agent, server, &described, &plan, &DumpName::new(), None).await;
            let mut stream = begun.stream;
            assert_eq!(verdict(&carried(&mut stream).await.unwrap().1), Ok(()));
            stream.close().await.unwrap();
            server.sql("SET GLOBAL general_log = OFF");
            let seen = "SELECT COUNT(*) FROM mysql.general_log WHERE argument LIKE '%CONSISTENT SNAPSHOT%'";
            assert_eq!(server.sql(seen), "1");
            let locks =
                "SELECT argument FROM mysql.general_log WHERE argument LIKE 'FLUSH%' OR argument LIKE '%READ LOCK%'";
            assert_eq!(server.sql(locks), "", "{:?}", plan.arguments);
            server.sql("TRUNCATE mysql.general_log");
        }
    }
}

#[tokio::test]
async fn a_dump_made_under_writes_and_what_came_after_it_are_the_same_server() {
    is_the_same_on_another_server(false).await;
}

#[tokio::test]
async fn under_a_lock_for_the_whole_dump_tables_without_transactions_are_the_same_too() {
    is_the_same_on_another_server(true).await;
}
