use fsprobe::binlog::{self, Walked};

use super::at::{beyond, held_against};
use super::walk::is_this_servers;
use super::*;

pub(super) const BINLOG: &[u8] = include_bytes!("../../../../fixtures/binlog/mariadb-10.11.000001");
pub(super) const END: u64 = 1423;

pub(super) fn server() -> Server {
    let json = r#"{"flavour":"maria-db","version":{"major":10,"minor":11,"patch":19},"version_text":"10.11.19-MariaDB",
        "hostname":"db1","datadir":"/var/lib/mysql/","other_data_directories":[],"log_bin":true,"gtid_mode":null,
        "read_only":false,"galera":false,"has_percona_backup_locks":false,"non_transactional_tables":0}"#;
    serde_json::from_str(json).unwrap()
}

pub(super) fn coordinates(position: u64, gtid: &str) -> Coordinates {
    Coordinates { file: "binlog.000001".to_owned(), position, gtid: Some(gtid.to_owned()) }
}

pub(super) fn walked(bytes: &[u8], position: u64) -> Walked {
    binlog::walk(&bytes.to_vec(), Some(position)).unwrap()
}

/// What comes of a binlog with these bytes, where the server said these coordinates.
fn held(bytes: &[u8], coordinates: &Coordinates) -> Result<(), Doubt> {
    held_against(coordinates, &walked(bytes, coordinates.position))
}

#[track_caller]
fn is_doubted(bytes: &[u8], coordinates: &Coordinates, wanted: Indication, word: &str) {
    let (indication, why) = held(bytes, coordinates).unwrap_err();
    assert_eq!(indication, wanted, "{why}");
    assert!(why.contains(word), "{why}");
}

#[test]
fn a_binlog_that_ends_at_the_coordinates_with_their_gtid_is_proof() {
    held(BINLOG, &coordinates(END, "0-1-7")).unwrap();
}

/// Yesterday's image with today's receipt.
#[test]
fn a_binlog_that_ends_before_the_coordinates_is_another_days() {
    is_doubted(BINLOG, &coordinates(END + 178, "0-1-8"), Indication::LogShortOfCoordinates, "it ends at 1423");
}

/// The lock was lost and taken again, or was none.
#[test]
fn a_binlog_with_a_transaction_behind_the_coordinates_is_found_out() {
    let is_end =
        |position: &u64| walked(BINLOG, *position).at.is_some_and(|at| at.is_event_end && at.is_outside_transaction);
    let before_the_last = (4..END).rev().find(is_end).unwrap();
    is_doubted(BINLOG, &coordinates(before_the_last, "0-1-6"), Indication::LogBeyondCoordinates, "goes on behind");
}

/// The server was told to begin another file inside the window.
#[test]
fn a_binlog_that_was_left_for_another_behind_the_coordinates_is_found_out() {
    let mut at = walked(BINLOG, END).at.unwrap();
    assert_eq!(beyond(&at, None), None);
    at.is_rotated = true;
    assert_eq!(beyond(&at, None).unwrap(), "a change to another file");
}

#[test]
fn a_position_inside_of_an_event_or_of_a_transaction_is_none() {
    is_doubted(BINLOG, &coordinates(END - 5, "0-1-7"), Indication::LogShortOfCoordinates, "no event ends there");
    let is_inside =
        |position: &u64| walked(BINLOG, *position).at.is_some_and(|at| at.is_event_end && !at.is_outside_transaction);
    let inside = (4..END).find(is_inside).unwrap();
    is_doubted(BINLOG, &coordinates(inside, "0-1-7"), Indication::LogShortOfCoordinates, "unfinished");
}

#[test]
fn a_binlog_of_the_right_length_with_other_transactions_is_another_servers() {
    is_doubted(BINLOG, &coordinates(END, "0-2-7"), Indication::LogShortOfCoordinates, "0-1-7");
}

#[test]
fn a_binlog_whose_last_event_was_changed_or_cut_is_whole_up_to_it_only() {
    let last = END as usize - 10;
    let flipped = [&BINLOG[..last], &[BINLOG[last] ^ 1], &BINLOG[last + 1..]].concat();
    for bytes in [&flipped, &BINLOG[..last].to_vec()] {
        is_doubted(bytes, &coordinates(END, "0-1-7"), Indication::LogShortOfCoordinates, "whole up to");
    }
}

#[test]
fn a_binlog_of_another_release_is_another_servers() {
    let newer = Server { version: Version { major: 11, minor: 8, patch: 3 }, ..server() };
    let doubt = is_this_servers(&newer, &walked(BINLOG, END)).unwrap_err();
    assert_eq!(doubt.0, Indication::OtherServer);
}

#[test]
fn the_files_that_are_asked_for_are_the_logs_and_mysqls_own_name() {
    let with_binlog = Server { log_bin_basename: Some("/srv/log/binlog".into()), ..server() };
    let coordinates = coordinates(END, "0-1-7");
    assert_eq!(files(Some(&with_binlog), Some(&coordinates), None), [PathBuf::from("/srv/log/binlog.000001")]);
    let after = Coordinates { file: "binlog.000002".to_owned(), ..coordinates.clone() };
    let both = ["/srv/log/binlog.000001", "/srv/log/binlog.000002"].map(PathBuf::from);
    assert_eq!(files(Some(&with_binlog), Some(&coordinates), Some(&after)), both);
    assert_eq!(files(Some(&server()), None, None), [PathBuf::from("/var/lib/mysql/ib_logfile0")]);
    let mysql = Server { flavour: Flavour::MySql, server_uuid: Some("aa".to_owned()), ..server() };
    assert_eq!(files(Some(&mysql), None, None), [PathBuf::from("/var/lib/mysql/auto.cnf")]);
    assert_eq!(files(None, None, None), [] as [PathBuf; 0]);
}

#[test]
fn a_binlogs_name_with_a_slash_in_it_leads_nowhere() {
    let server = Server { log_bin_basename: Some("/srv/log/binlog".into()), ..server() };
    let odd = Coordinates { file: "../../etc/shadow".to_owned(), ..coordinates(END, "0-1-7") };
    assert_eq!(files(Some(&server), Some(&odd), None), [] as [PathBuf; 0]);
}

#[test]
fn mysqls_name_is_read_as_an_option_file_is() {
    assert_eq!(uuid_in("[auto]\nserver-uuid=3E11FA47-71CA\n"), Some("3E11FA47-71CA"));
    assert_eq!(uuid_in("[auto]\nserver-uuid = a\n server_uuid= b"), Some("b"));
    assert_eq!(uuid_in("[auto]\n#server-uuid=a\nserver-uuids=b\n"), None);
}
