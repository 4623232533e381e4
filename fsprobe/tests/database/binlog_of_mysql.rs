//! Logs of MySQL, built by the book (`mysql/binlog/event/*.h`): no server of MySQL made these bytes.

use std::collections::BTreeMap;

use fsprobe::ReadAt;
use fsprobe::binlog::{BinlogError, Gtids, TornBy, Walked, walk};

const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const QUERY: u8 = 2;
const STOP: u8 = 3;
const ROTATE: u8 = 4;
const XID: u8 = 16;
const TABLE_MAP: u8 = 19;
const WRITE_ROWS: u8 = 30;
const GTID: u8 = 33;
const ANONYMOUS: u8 = 34;
const PREVIOUS_GTIDS: u8 = 35;
const XA_PREPARE: u8 = 38;
const PAYLOAD: u8 = 40;
const GTID_TAGGED: u8 = 42;

fn header(kind: u8, length: u64, log_pos: u64, flags: u16) -> Vec<u8> {
    let mut header = vec![0; 4];
    header.push(kind);
    header.extend(7_u32.to_le_bytes());
    header.extend((length as u32).to_le_bytes());
    header.extend((log_pos as u32).to_le_bytes());
    header.extend(flags.to_le_bytes());
    header
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let byte = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    (!bytes.iter().fold(!0, byte)).to_le_bytes()
}

struct Log {
    bytes: Vec<u8>,
    has_checksums: bool,
}

impl Log {
    /// The first event, with as many types as 8.0 has.
    fn of(server_version: &str, checksums: Option<u8>) -> Self {
        let mut body = 4_u16.to_le_bytes().to_vec();
        body.extend(server_version.bytes().chain(std::iter::repeat(0)).take(50));
        body.extend([0, 0, 0, 0, 19]);
        body.extend([0; 41]);
        body.extend(checksums);
        let mut log = Self { bytes: b"\xfebin".to_vec(), has_checksums: checksums.is_some() };
        log.add(15, &body);
        log.has_checksums = checksums == Some(1);
        log
    }

    fn new() -> Self {
        Self::of("8.0.39", Some(1))
    }

    fn add(&mut self, kind: u8, body: &[u8]) -> u64 {
        let sum = if self.has_checksums { 4 } else { 0 };
        let length = 19 + body.len() + sum;
        let mut event = header(kind, length as u64, (self.bytes.len() + length) as u64, 0);
        event.extend(body);
        if self.has_checksums {
            event.extend(crc32(&event));
        }
        self.bytes.extend(event);
        self.end()
    }

    fn query(&mut self, query: &str) -> u64 {
        let fixed = [&[0; 8][..], &[1], &[0, 0], &3_u16.to_le_bytes(), b"sssd\0"].concat();
        self.add(QUERY, &[&fixed, query.as_bytes()].concat())
    }

    fn gtid(&mut self, number: u64) -> u64 {
        self.add(GTID, &[&[1][..], &uuid(), &number.to_le_bytes(), &[2], &[0; 16]].concat())
    }

    fn transaction(&mut self, number: u64) -> u64 {
        self.gtid(number);
        self.query("BEGIN");
        self.add(TABLE_MAP, &[1; 30]);
        self.add(WRITE_ROWS, &[2; 40]);
        self.add(XID, &[0; 8])
    }

    fn end(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn walked(&self) -> Walked {
        walk(&self.bytes, None).unwrap()
    }

    /// Where the last transaction ends, and all GTIDs.
    fn found(&self) -> (u64, String) {
        let walked = self.walked();
        assert_eq!((walked.end_bytes, walked.torn), (self.end(), None));
        (walked.transactions_end_bytes, walked.gtids.to_string())
    }
}

fn uuid() -> [u8; 16] {
    std::array::from_fn(|at| u8::from_str_radix(&UUID.replace('-', "")[2 * at..2 * at + 2], 16).unwrap())
}

fn none_before() -> [u8; 8] {
    [0; 8]
}

#[test]
fn transactions_are_added_to_those_of_the_files_before() {
    let mut log = Log::new();
    let before = [&1_u64.to_le_bytes()[..], &uuid(), &1_u64.to_le_bytes(), &1_u64.to_le_bytes(), &8_u64.to_le_bytes()];
    log.add(PREVIOUS_GTIDS, &before.concat());
    assert_eq!(log.found().1, format!("{UUID}:1-7"));
    assert_eq!(log.walked().gtids.last_is_in(UUID), None);
    let end = log.transaction(8);
    assert_eq!(log.found(), (end, format!("{UUID}:1-8")));
    let gtids = log.walked().gtids;
    assert_eq!(gtids.last_is_in(&format!("{UUID}:1-8")), Some(true));
    assert_eq!(gtids.last_is_in(&format!("{UUID}:1-7:9")), Some(false));
    assert_eq!((log.walked().server_version.as_str(), log.walked().in_use), ("8.0.39", false));
}

#[test]
fn a_transaction_is_not_there_before_its_last_event() {
    let mut log = Log::new();
    let before = log.add(PREVIOUS_GTIDS, &none_before());
    let (cut, end) = (before as usize, log.transaction(1) as usize);
    for size in cut + 1..end {
        let walked = walk(&log.bytes[..size].to_vec(), None).unwrap();
        assert_eq!((walked.transactions_end_bytes, walked.gtids.to_string()), (before, String::new()), "{size}");
    }
}

#[test]
fn a_single_statement_is_a_transaction_of_its_own() {
    let mut log = Log::new();
    log.add(PREVIOUS_GTIDS, &none_before());
    log.gtid(1);
    let end = log.query("CREATE TABLE t (a INT)");
    assert_eq!(log.found(), (end, format!("{UUID}:1")));
    log.gtid(2);
    assert_eq!(log.found(), (end, format!("{UUID}:1")));
}

#[test]
fn a_savepoint_is_rolled_back_to_inside_of_a_transaction() {
    let mut log = Log::new();
    let before = log.add(PREVIOUS_GTIDS, &none_before());
    log.gtid(1);
    log.query("BEGIN");
    log.query("ROLLBACK TO `s`");
    assert_eq!(log.found().0, before);
    let end = log.query("ROLLBACK");
    assert_eq!(log.found(), (end, format!("{UUID}:1")));
}

#[test]
fn a_transaction_that_is_compressed_is_one_event() {
    let mut log = Log::new();
    log.add(PREVIOUS_GTIDS, &none_before());
    log.gtid(1);
    let end = log.add(PAYLOAD, &[3; 200_000]);
    assert_eq!(log.found(), (end, format!("{UUID}:1")));
}

#[test]
fn preparing_and_committing_an_xa_transaction_are_two() {
    let mut log = Log::new();
    let before = log.add(PREVIOUS_GTIDS, &none_before());
    log.gtid(1);
    log.query("XA START X'78',X'',1");
    log.add(WRITE_ROWS, &[2; 40]);
    log.query("XA END X'78',X'',1");
    assert_eq!(log.found().0, before);
    let prepared = log.add(XA_PREPARE, &[0; 14]);
    assert_eq!(log.found(), (prepared, format!("{UUID}:1")));
    log.gtid(2);
    let end = log.query("XA COMMIT X'78',X'',1");
    assert_eq!(log.found(), (end, format!("{UUID}:1-2")));
}

#[test]
fn transactions_without_gtids_are_told_apart_as_well() {
    for opens in [true, false] {
        let mut log = Log::new();
        let transaction = |log: &mut Log| {
            let before = log.end();
            if opens {
                log.add(ANONYMOUS, &[0; 42]);
            }
            log.query("BEGIN");
            log.query("INSERT INTO t VALUES (1)");
            assert_eq!(log.found().0, before);
            log.query("COMMIT")
        };
        transaction(&mut log);
        let end = transaction(&mut log);
        assert_eq!(log.found(), (end, String::new()));
        assert_eq!(log.walked().gtids, Gtids::None);
    }
}

#[test]
fn a_gtid_with_a_tag_is_one_of_its_own() {
    let short = |value: u64| {
        if value < 128 { vec![(value << 1) as u8] } else { ((value << 2 | 1) as u16).to_le_bytes().to_vec() }
    };
    let mut log = Log::of("9.7.4", Some(1));
    log.add(PREVIOUS_GTIDS, &none_before());
    log.transaction(1);
    let mut body = [1, 60, 12, 0, 1, 1].map(short).concat();
    body.extend(uuid().iter().flat_map(|&byte| short(byte.into())));
    body.extend([2, 5 << 1, 3, 5].map(short).concat());
    body.extend(b"alpha");
    log.add(GTID_TAGGED, &[&body[..], &short(4), &short(1)].concat());
    let end = log.query("DROP TABLE t");
    assert_eq!(log.found(), (end, format!("{UUID}:1:alpha:5")));
    assert_eq!(log.walked().gtids.last_is_in(&format!("{UUID}:alpha:5")), Some(true));
}

#[test]
fn a_name_that_is_not_understood_leaves_the_state_unknown() {
    let mut log = Log::of("10.0.0", Some(1));
    log.add(PREVIOUS_GTIDS, &none_before());
    log.add(GTID_TAGGED, &[4; 20]);
    let end = log.query("DROP TABLE t");
    assert_eq!(log.found(), (end, "unknown".into()));
    assert_eq!(log.walked().gtids.last_is_in(&format!("{UUID}:1-9")), None);
}

#[test]
fn servers_before_checksums_are_read_without() {
    let mut log = Log::of("5.5.62-log", None);
    log.query("BEGIN");
    let end = log.add(XID, &[0; 8]);
    assert_eq!(log.found().0, end);
    assert!(!log.walked().has_checksums);
}

#[test]
fn a_rotation_and_a_stop_are_told_from_transactions() {
    let mut log = Log::new();
    let coordinates = log.add(PREVIOUS_GTIDS, &none_before());
    let at = |log: &Log| walk(&log.bytes, Some(coordinates)).unwrap().at.unwrap();
    assert!(at(&log).is_event_end && !at(&log).is_rotated && !at(&log).is_stopped);
    log.add(STOP, &[]);
    assert!(at(&log).is_stopped && !at(&log).is_rotated && at(&log).beyond.is_empty());
    log.add(ROTATE, b"\x04\0\0\0\0\0\0\0log.000002");
    assert!(at(&log).is_rotated && at(&log).beyond.is_empty());
    log.gtid(1);
    assert_eq!(at(&log).beyond, BTreeMap::from([("Gtid".to_owned(), 1)]));
}

#[test]
fn an_event_of_a_newer_server_is_whole_where_a_checksum_says_so() {
    let with = |checksums| {
        let mut log = Log::of("10.0.0", Some(checksums));
        (log.end(), log.add(90, &[1; 30]), log.walked())
    };
    let (before, end, walked) = with(1);
    // What it does to data is not known.
    assert_eq!((walked.end_bytes, walked.transactions_end_bytes, walked.torn), (end, before, None));
    let (before, _, walked) = with(0);
    assert_eq!((walked.end_bytes, walked.torn.unwrap().why), (before, TornBy::Header));
}

#[test]
fn formats_and_checksums_that_are_not_known_are_refused() {
    let refused = |log: Log| walk(&log.bytes, None).unwrap_err();
    assert!(matches!(refused(Log::of("9.9.9", Some(2))), BinlogError::UnknownVersion(_)));
    let mut old = Log { bytes: b"\xfebin".to_vec(), has_checksums: false };
    old.add(1, &[3; 56]);
    assert!(matches!(refused(old), BinlogError::UnknownVersion(_)));
}

/// A log that is larger than its positions can say.
struct Large {
    parts: BTreeMap<u64, Vec<u8>>,
    size_bytes: u64,
}

impl ReadAt for Large {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> std::io::Result<()> {
        buf.fill(0);
        for (at, part) in &self.parts {
            for (place, byte) in (*at..).zip(part) {
                let Some(index) = place.checked_sub(offset_bytes) else { continue };
                if let Some(to) = buf.get_mut(usize::try_from(index).unwrap()) {
                    *to = *byte;
                }
            }
        }
        Ok(())
    }
}

#[test]
fn positions_behind_4_gib_are_followed() {
    let mut first = Log::of("8.0.39", Some(0));
    let mut end = first.query("BEGIN");
    let mut parts = BTreeMap::from([(0, first.bytes)]);
    for _ in 0..3 {
        let length = 3 << 30;
        parts.insert(end, header(WRITE_ROWS, length, end + length, 0));
        end += length;
    }
    parts.insert(end, [header(XID, 27, end + 27, 0), vec![0; 8]].concat());
    let large = Large { parts, size_bytes: end + 27 };
    let walked = walk(&large, Some(end + 27)).unwrap();
    assert_eq!((walked.end_bytes, walked.transactions_end_bytes, walked.torn), (end + 27, end + 27, None));
    assert!(walked.at.unwrap().is_event_end);
}
