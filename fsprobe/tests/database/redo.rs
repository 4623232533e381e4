//! The redo log ends where the server says that it is, and where a recovery says that it ended.

use fsprobe::redo::{Redo, RedoError, read};

use crate::server::Server;

const LOG: &str = "ib_logfile0";

/// The log at a moment at which the server wrote nothing, and its LSN then.
fn still(server: &Server) -> (Redo, u64) {
    for _ in 0..200 {
        let before = server.lsn();
        let log = server.file(LOG);
        if before == server.lsn() {
            return (read(&log).unwrap(), before);
        }
    }
    panic!("the server always writes something");
}

fn write_rows(server: &Server, rows: u32) {
    server.sql("CREATE OR REPLACE TABLE test.t (a INT PRIMARY KEY, b VARBINARY(9000)) ENGINE=InnoDB");
    server
        .sql(&format!("USE test; INSERT INTO t SELECT seq, CONCAT(REPEAT('x', seq % 5000), RANDOM_BYTES(1000), RANDOM_BYTES(1000)) FROM seq_1_to_{rows}"));
}

fn start(options: &[&str]) -> Server {
    let server = Server::start(options);
    server.sql("CREATE DATABASE IF NOT EXISTS test");
    server
}

/// The number behind `words` in what the server says when it recovers.
fn said(log: &str, words: &str) -> u64 {
    let rest = log.split(words).nth(1).unwrap_or_else(|| panic!("no {words:?} in:\n{log}"));
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn the_log_ends_where_the_server_is() {
    let server = start(&[]);
    for rows in [1, 10, 1000] {
        // A server that is idle for a moment makes a checkpoint of its own.
        let is_clean = (0..50).all(|_| {
            write_rows(&server, rows);
            let (redo, lsn) = still(&server);
            assert_eq!(redo.end_lsn, lsn, "{rows}");
            assert!(redo.checkpoint_lsn < lsn && redo.creator.starts_with("MariaDB 10."), "{redo:?}");
            redo.is_clean()
        });
        assert!(!is_clean, "{rows}");
    }
}

#[test]
fn the_log_of_a_killed_server_ends_where_its_recovery_does() {
    let mut server = start(&[]);
    write_rows(&server, 3000);
    let before = server.lsn();
    server.kill();
    let redo = read(&server.file(LOG)).unwrap();
    assert!(redo.end_lsn >= before && !redo.is_clean());
    server.start_again(&[]);
    let log = server.mariadbd.as_ref().unwrap().log();
    assert_eq!(redo.checkpoint_lsn, said(&log, "from checkpoint LSN="), "{log}");
    assert_eq!(redo.end_lsn, said(&log, "End of log at LSN="), "{log}");
}

#[test]
fn a_log_that_has_gone_around_several_times_is_read() {
    let mut server = start(&["--innodb-log-file-size=4M"]);
    let size = server.file(LOG).len() as u64;
    assert_eq!(size, 4 << 20);
    let (first, _) = still(&server);
    let mut has_begun_anew = false;
    for round in 1..12 {
        write_rows(&server, 600 + round);
        let (redo, lsn) = still(&server);
        assert_eq!(redo.end_lsn, lsn, "{round}");
        let ring = |lsn| (lsn - 12288) / (size - 12288);
        has_begun_anew |= ring(redo.checkpoint_lsn) != ring(redo.end_lsn);
    }
    let (last, _) = still(&server);
    assert!(last.end_lsn - first.end_lsn > 3 * size, "not around: {first:?}, {last:?}");
    assert!(has_begun_anew, "no log was read across the end of the ring");
    server.kill();
    let redo = read(&server.file(LOG)).unwrap();
    server.start_again(&["--innodb-log-file-size=4M"]);
    let log = server.mariadbd.as_ref().unwrap().log();
    assert_eq!(redo.end_lsn, said(&log, "End of log at LSN="), "{log}");
}

#[test]
fn a_log_that_was_shut_down_has_nothing_to_recover() {
    let mut server = start(&[]);
    write_rows(&server, 100);
    let (running, _) = still(&server);
    assert!(!running.is_clean());
    server.shut_down();
    let redo = read(&server.file(LOG)).unwrap();
    assert!(redo.is_clean(), "{redo:?}");
    assert!(redo.checkpoint_lsn >= running.end_lsn);
}

#[test]
fn an_encrypted_log_is_said_to_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, format!("1;{}\n", "ab".repeat(32))).unwrap();
    let name = format!("--file-key-management-filename={}", keys.display());
    let server = start(&["--plugin-load-add=file_key_management", &name, "--innodb-encrypt-log"]);
    let refused = read(&server.file(LOG));
    assert!(matches!(refused, Err(RedoError::Encrypted)), "{refused:?}");
}
