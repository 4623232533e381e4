//! Logs that a real MySQL 9.7 wrote (`fixtures/mysql/record`), against what it said of itself after each statement.

use std::fs;
use std::path::PathBuf;

use fsprobe::binlog::{Gtids, Walked, walk};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/mysql").join(name)
}

/// File, position, executed set.
fn said(name: &str) -> Vec<(String, u64, String)> {
    let said = fs::read_to_string(fixture(name).join("said")).unwrap();
    let parsed = said.lines().map(|line| {
        let [file, position, gtids] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        (file.to_owned(), position.parse().unwrap(), gtids.to_owned())
    });
    parsed.collect()
}

/// The log cut off at a position, which is how it was at that moment.
fn walked_until(log: &[u8], position: u64) -> Walked {
    walk(&log[..position as usize].to_vec(), Some(position)).unwrap()
}

#[test]
fn each_statement_ends_where_the_server_says() {
    for name in ["gtids", "no-gtids"] {
        let said = said(name);
        assert!(said.len() >= 13);
        for (file, position, gtids) in &said {
            let log = fs::read(fixture(name).join(file)).unwrap();
            let walked = walked_until(&log, *position);
            let place = format!("{name}/{file} {position}");
            assert_eq!((walked.end_bytes, walked.torn), (*position, None), "{place}");
            // What is prepared by XA is a transaction of its own, so no statement leaves one open.
            assert_eq!(walked.transactions_end_bytes, *position, "{place}");
            assert_eq!(walked.gtids.to_string(), *gtids, "{place}");
            assert_eq!(walked.has_checksums, name == "gtids", "{place}");
            let at = walk(&log, Some(*position)).unwrap().at.unwrap();
            assert!(at.is_event_end && at.is_outside_transaction && at.gtids == walked.gtids, "{place}: {at:?}");
        }
    }
}

#[test]
fn between_two_statements_the_log_counts_up_to_the_first_only() {
    let said = said("gtids");
    let log = fs::read(fixture("gtids/log.000001")).unwrap();
    // One of the lines stands for three statements.
    let is_single = |gtids: &str| !gtids.ends_with(":1-16");
    let mut seen = 0;
    for lines in said.windows(2).filter(|lines| lines[1].0 == "log.000001" && is_single(&lines[1].2)) {
        for position in lines[0].1..lines[1].1 {
            let walked = walked_until(&log, position);
            assert_eq!(walked.transactions_end_bytes, lines[0].1, "{position}");
            assert_eq!(walked.gtids.to_string(), lines[0].2, "{position}");
            seen += 1;
        }
    }
    assert!(seen > 3000);
}

#[test]
fn the_last_transaction_is_in_the_executed_set_from_its_statement_on() {
    let said = said("gtids");
    let last = &said.last().unwrap().2;
    let log = fs::read(fixture("gtids/log.000001")).unwrap();
    for (_, position, gtids) in said.iter().filter(|(file, ..)| file == "log.000001") {
        let walked = walked_until(&log, *position);
        assert_eq!((walked.gtids.last_is_in(gtids), walked.gtids.last_is_in(last)), (Some(true), Some(true)));
        let before = said.iter().take_while(|(.., other)| other != gtids).last();
        assert!(before.is_none_or(|(.., before)| walked.gtids.last_is_in(before) == Some(false)), "{position}");
    }
}

#[test]
fn a_new_file_begins_with_the_set_of_those_before() {
    let (said, log) = (said("gtids"), fs::read(fixture("gtids/log.000002")).unwrap());
    let first = said.iter().find(|(file, ..)| file == "log.000002").unwrap();
    let walked = walked_until(&log, first.1);
    assert!(
        matches!(&walked.gtids, Gtids::MySql { last: None, logged: Some(logged) } if logged.to_string() == first.2)
    );
    assert!(first.2.contains(":alpha:1-2") && first.2.contains("aa:300"));
}

#[test]
fn a_file_that_was_left_and_one_that_was_closed_say_so() {
    let at = |file: &str| {
        let position = said("gtids").iter().rfind(|(name, ..)| name == file).unwrap().1;
        let walked = walk(&fs::read(fixture("gtids").join(file)).unwrap(), Some(position)).unwrap();
        assert!(!walked.in_use && walked.server_version.starts_with("9.7."));
        let at = walked.at.unwrap();
        assert!(at.beyond.is_empty(), "{:?}", at.beyond);
        (at.is_rotated, at.is_stopped)
    };
    assert_eq!((at("log.000001"), at("log.000002")), ((true, false), (false, true)));
}
