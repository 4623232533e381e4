//! Positions and GTIDs are those that the server says, statement by statement.

use fsprobe::binlog::{BinlogError, Gtids, Walked, walk};

use crate::server::Server;

/// One of each kind: after each the server is asked where its log ends.
const STATEMENTS: [&str; 17] = [
    "CREATE DATABASE d",
    "CREATE TABLE d.i (a INT AUTO_INCREMENT PRIMARY KEY, b LONGBLOB) ENGINE=InnoDB",
    "CREATE TABLE d.m (a INT AUTO_INCREMENT PRIMARY KEY, b INT) ENGINE=MyISAM",
    "INSERT INTO d.i (b) VALUES ('one')",
    "INSERT INTO d.m (b) VALUES (1), (2)",
    "BEGIN; INSERT INTO d.i (b) VALUES ('two'); SAVEPOINT s; INSERT INTO d.i (b) VALUES ('three'); ROLLBACK TO s; COMMIT",
    "BEGIN; INSERT INTO d.i (b) VALUES ('four'); INSERT INTO d.m (b) VALUES (3); ROLLBACK",
    "SET SESSION binlog_format = 'STATEMENT'; SET @user = 7; INSERT INTO d.m (b) VALUES (@user), (RAND() * 9)",
    "SET SESSION binlog_format = 'STATEMENT'; INSERT INTO d.i (b) VALUES ('five')",
    "CREATE TABLE d.copied SELECT * FROM d.i",
    "SET gtid_domain_id = 3; INSERT INTO d.i (b) VALUES ('another domain')",
    "SET server_id = 12; INSERT INTO d.i (b) VALUES ('another server')",
    "SET SESSION gtid_seq_no = 1000; INSERT INTO d.i (b) VALUES ('another number')",
    "XA START 'x'; INSERT INTO d.i (b) VALUES ('xa'); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'",
    "XA START 'y'; INSERT INTO d.i (b) VALUES ('xa'); XA END 'y'; XA COMMIT 'y' ONE PHASE",
    "INSERT INTO d.i (b) VALUES (REPEAT('large', 1000000))",
    "CREATE USER u; GRANT SELECT ON d.* TO u; TRUNCATE d.m; DROP TABLE d.copied",
];

fn walked(server: &Server, file: &str, coordinates: u64) -> Walked {
    walk(&server.file(file), Some(coordinates)).unwrap()
}

fn is_as_the_server_says(options: &[&str], has_checksums: bool) {
    let server = Server::start(options);
    let mut places = Vec::new();
    for statement in STATEMENTS {
        server.sql(statement);
        let (file, position, gtids) = server.coordinates();
        let walked = walked(&server, &file, position);
        assert_eq!((walked.end_bytes, walked.transactions_end_bytes), (position, position), "{statement}");
        assert!(walked.gtids.is(&gtids), "{statement}: {} is not {gtids}", walked.gtids);
        assert!(walked.in_use && walked.torn.is_none() && walked.server_version.starts_with("10."));
        assert_eq!(walked.has_checksums, has_checksums);
        let at = walked.at.unwrap();
        assert!(at.is_event_end && at.is_outside_transaction && at.gtids.is(&gtids), "{statement}");
        assert!(at.beyond.is_empty() && !at.is_rotated && !at.is_stopped, "{statement}: {:?}", at.beyond);
        places.push((position, gtids, statement));
    }
    let (file, ..) = server.coordinates();
    for (position, gtids, statement) in &places {
        let at = walked(&server, &file, *position).at.unwrap();
        assert!(at.is_event_end && at.is_outside_transaction && at.gtids.is(gtids), "{statement}: {}", at.gtids);
        assert_eq!(at.beyond.is_empty(), *position == places.last().unwrap().0, "{statement}");
    }
}

#[test]
fn the_log_is_walked_to_where_the_server_is_after_each_statement() {
    is_as_the_server_says(&["--binlog-checksum=CRC32", "--binlog-format=ROW"], true);
}

#[test]
fn a_log_without_checksums_is_walked_as_well() {
    is_as_the_server_says(&["--binlog-checksum=NONE", "--binlog-format=MIXED"], false);
}

#[test]
fn a_compressed_log_is_walked_as_well() {
    is_as_the_server_says(
        &["--log-bin-compress", "--log-bin-compress-min-len=10", "--binlog-annotate-row-events"],
        true,
    );
}

#[test]
fn coordinates_inside_of_a_transaction_are_told_from_those_between() {
    let server = Server::start(&[]);
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT) ENGINE=InnoDB");
    let (file, before, gtids) = server.coordinates();
    server.sql("BEGIN; INSERT INTO d.t VALUES (1); INSERT INTO d.t VALUES (2); COMMIT");
    let (_, after, _) = server.coordinates();
    let events = server.sql(&format!("SHOW BINLOG EVENTS IN '{file}' FROM {before}"));
    let ends: Vec<u64> = events.lines().map(|line| line.split('\t').nth(4).unwrap().parse().unwrap()).collect();
    assert!(ends.len() > 3 && ends.last() == Some(&after));
    for position in before..=after {
        let at = walked(&server, &file, position).at.unwrap();
        assert_eq!(at.is_event_end, position == before || ends.contains(&position), "{position}");
        // Between the events, what counts is the last one that ends before.
        assert_eq!(at.is_outside_transaction, position < ends[0] || position == after, "{position}");
        assert_eq!(at.gtids.is(&gtids), position < after, "{position}");
        let beyond: u64 = at.beyond.values().sum();
        assert_eq!(beyond, ends.iter().filter(|end| **end > position).count() as u64, "{position}");
    }
}

#[test]
fn coordinates_behind_the_end_are_no_event_end() {
    let server = Server::start(&[]);
    let (file, position, _) = server.coordinates();
    let at = walked(&server, &file, position + 1).at.unwrap();
    assert!(!at.is_event_end && at.beyond.is_empty());
}

#[test]
fn the_events_beyond_coordinates_are_counted_by_what_the_server_calls_them() {
    let server = Server::start(&["--binlog-format=ROW", "--skip-binlog-annotate-row-events"]);
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT) ENGINE=InnoDB");
    let (file, position, _) = server.coordinates();
    server.sql("INSERT INTO d.t VALUES (1); INSERT INTO d.t VALUES (2)");
    let at = walked(&server, &file, position).at.unwrap();
    let beyond: Vec<_> = at.beyond.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(beyond, [("Gtid", 2), ("Table_map", 2), ("Write_rows_v1", 2), ("Xid", 2)]);
}

#[test]
fn a_file_that_was_left_is_told_from_one_with_more_transactions() {
    let mut server = Server::start(&[]);
    server.sql("CREATE DATABASE d");
    let (file, position, gtids) = server.coordinates();
    server.sql("FLUSH BINARY LOGS");
    let left = walked(&server, &file, position);
    let at = left.at.clone().unwrap();
    assert!(at.is_rotated && !at.is_stopped && at.beyond.is_empty());
    assert!(!left.in_use && left.gtids.is(&gtids));

    let (next, position, _) = server.coordinates();
    assert_ne!(next, file);
    let first = walked(&server, &next, position);
    assert_eq!((first.end_bytes, first.in_use), (position, true));
    assert!(first.gtids.is(&gtids), "the list at its beginning: {}", first.gtids);

    server.shut_down();
    let stopped = walked(&server, &next, position);
    assert!(stopped.at.unwrap().is_stopped && !stopped.in_use);
}

#[test]
fn a_server_that_was_killed_leaves_its_log_in_use() {
    let mut server = Server::start(&[]);
    server.sql("CREATE DATABASE d");
    let (file, position, gtids) = server.coordinates();
    server.kill();
    let walked = walked(&server, &file, position);
    assert!(walked.in_use && walked.end_bytes == position && walked.gtids.is(&gtids));
}

#[test]
fn an_encrypted_log_is_said_to_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, format!("1;{}\n", "ab".repeat(32))).unwrap();
    let name = format!("--file-key-management-filename={}", keys.display());
    let server = Server::start(&["--plugin-load-add=file_key_management", &name, "--encrypt-binlog"]);
    server.sql("CREATE DATABASE d");
    let (file, position, _) = server.coordinates();
    let refused = walk(&server.file(&file), Some(position));
    assert!(matches!(refused, Err(BinlogError::Encrypted)), "{refused:?}");
}

#[test]
fn a_new_log_has_no_transaction() {
    let server = Server::start(&[]);
    let (file, position, gtids) = server.coordinates();
    let walked = walked(&server, &file, position);
    assert_eq!(gtids, "");
    assert!(walked.gtids.is("") && matches!(walked.gtids, Gtids::MariaDb(_)) && walked.end_bytes == position);
}
