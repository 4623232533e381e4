//! Hostile binary logs.

use fsprobe::binlog::walk;

const FIRST_BYTES: usize = 122;
const SUM: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// Walks through the log that `input` describes: its coordinates, and events of `type:u8 length:u8 body`, whose headers and
/// checksums are made right. One whose first byte is 0xff is all of a log behind its magic number.
pub fn read(input: &[u8]) {
    let Some((&[how, c0, c1], input)) = input.split_first_chunk() else { return };
    let log = if how == 0xff { [b"\xfebin", input].concat() } else { events(how & 1, input) };
    let coordinates = (how & 2 != 0).then_some(u64::from(u16::from_le_bytes([c0, c1])));
    let Ok(walked) = walk(&log, coordinates) else { return };
    assert!(walked.transactions_end_bytes <= walked.end_bytes && walked.end_bytes <= log.len() as u64);
    assert_eq!(walked.at.is_some(), coordinates.is_some());
    std::hint::black_box((walked.gtids.to_string(), walked.gtids.is("0-1-1"), walked.gtids.last_is_in("")));
}

fn events(checksums: u8, mut input: &[u8]) -> Vec<u8> {
    let mut log = b"\xfebin".to_vec();
    let mut first = vec![0; FIRST_BYTES - 19 - 4];
    first[0] = 4;
    first[2..8].copy_from_slice(b"8.0.39");
    first[56] = 19;
    first[FIRST_BYTES - 19 - 4 - 1] = checksums;
    add(&mut log, 15, &first, true);
    while let Some((&[kind, length], rest)) = input.split_first_chunk() {
        let (body, rest) = rest.split_at(usize::from(length).min(rest.len()));
        add(&mut log, kind, body, checksums != 0);
        input = rest;
    }
    log
}

fn add(log: &mut Vec<u8>, kind: u8, body: &[u8], has_checksum: bool) {
    let start = log.len();
    let length = 19 + body.len() + if has_checksum { 4 } else { 0 };
    log.extend([0, 0, 0, 0, kind, 7, 0, 0, 0]);
    log.extend((length as u32).to_le_bytes());
    log.extend(((start + length) as u32).to_le_bytes());
    log.extend([0, 0]);
    log.extend(body);
    if has_checksum {
        let sum = SUM.checksum(&log[start..]);
        log.extend(sum.to_le_bytes());
    }
}
