//! A log whose end is torn, and logs that are none.

use std::sync::OnceLock;

use fsprobe::binlog::{BinlogError, TornBy, Walked, walk};
use proptest::prelude::*;

use crate::server::Server;

/// A log, where its last transaction begins, and where the last event of that does.
fn log(checksum: &str) -> (Vec<u8>, u64, u64) {
    let server = Server::start(&[&format!("--binlog-checksum={checksum}")]);
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT) ENGINE=InnoDB");
    let (file, before, _) = server.coordinates();
    server.sql("INSERT INTO d.t VALUES (1)");
    let events = server.sql(&format!("SHOW BINLOG EVENTS IN '{file}' FROM {before}"));
    let last = events.lines().last().unwrap().split('\t').nth(1).unwrap().parse().unwrap();
    (server.file(&file), before, last)
}

fn walked(log: &[u8]) -> Walked {
    walk(&log.to_vec(), None).unwrap()
}

#[test]
fn an_event_that_the_file_ends_in_is_no_event() {
    for checksum in ["CRC32", "NONE"] {
        let (log, before, last) = log(checksum);
        for size in last as usize + 1..log.len() {
            let walked = walked(&log[..size]);
            assert_eq!((walked.end_bytes, walked.transactions_end_bytes), (last, before), "{checksum}, {size}");
            let torn = walked.torn.unwrap();
            assert_eq!((torn.size_bytes, torn.why), (size as u64 - last, TornBy::End), "{checksum}, {size}");
        }
        let whole = walked(&log);
        assert_eq!((whole.end_bytes, whole.transactions_end_bytes), (log.len() as u64, log.len() as u64));
        let cut = walked(&log[..last as usize]);
        assert_eq!((cut.end_bytes, cut.transactions_end_bytes, cut.torn), (last, before, None));
    }
}

#[test]
fn zeros_behind_the_last_event_are_no_tear() {
    let (mut log, ..) = log("CRC32");
    let end = log.len() as u64;
    log.extend([0; 70_000]);
    let walked = walked(&log);
    assert_eq!((walked.end_bytes, walked.transactions_end_bytes, walked.torn), (end, end, None));
}

#[test]
fn an_event_whose_end_is_zeros_is_torn() {
    let (mut log, before, last) = log("CRC32");
    let end = log.len();
    log[end - 6..].fill(0);
    let walked = walked(&log);
    assert_eq!((walked.end_bytes, walked.transactions_end_bytes), (last, before));
    assert_eq!(walked.torn.unwrap().why, TornBy::Checksum);
    assert!(walked.torn.unwrap().to_string().ends_with("begin with an event whose checksum is wrong"));
}

#[test]
fn a_flipped_bit_ends_the_walk_before_the_event_that_it_is_in() {
    let (log, before, _) = log("CRC32");
    for byte in before as usize..log.len() {
        let mut flipped = log.clone();
        flipped[byte] ^= 1 << (byte % 8);
        let walked = walked(&flipped);
        assert!(walked.end_bytes <= byte as u64 && walked.torn.is_some(), "{byte}");
        assert_eq!(walked.transactions_end_bytes, before, "{byte}");
    }
}

#[test]
fn a_flipped_bit_of_the_first_event_is_never_passed_over() {
    for checksum in ["CRC32", "NONE"] {
        let (log, ..) = log(checksum);
        let length = u32::from_le_bytes(log[13..17].try_into().unwrap()) as usize;
        for byte in 0..4 + length {
            let mut flipped = log.clone();
            flipped[byte] ^= 1 << (byte % 8);
            assert!(walk(&flipped, None).is_err(), "{checksum}: {byte}");
        }
    }
}

#[test]
fn other_files_are_no_binary_logs() {
    let refused = |bytes: &[u8]| walk(&bytes.to_vec(), None).unwrap_err();
    assert!(matches!(refused(b""), BinlogError::NotABinlog));
    assert!(matches!(refused(b"\xfe\x01\0\0 an Aria log"), BinlogError::NotABinlog));
    assert!(matches!(refused(b"\xfebin"), BinlogError::NoDescription(_)));
    assert!(matches!(refused(b"\xfdbin and what only MySQL can read"), BinlogError::Encrypted));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn arbitrary_bytes_do_not_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        patches in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..8),
        coordinates in any::<Option<u16>>(),
    ) {
        static LOG: OnceLock<Vec<u8>> = OnceLock::new();
        let coordinates = coordinates.map(u64::from);
        let magic = [b"\xfebin".to_vec(), bytes.clone()].concat();
        // Without checksums, so that what is changed is read.
        let mut patched = LOG.get_or_init(|| log("NONE").0).clone();
        patched.extend(bytes);
        let length = patched.len();
        for (at, byte) in patches {
            // Behind the first event, which has one in any case.
            patched[260 + usize::from(at) % (length - 260)] = byte;
        }
        for log in [magic, patched] {
            if let Ok(walked) = walk(&log, coordinates) {
                prop_assert!(walked.transactions_end_bytes <= walked.end_bytes && walked.end_bytes <= log.len() as u64);
            }
        }
    }
}
