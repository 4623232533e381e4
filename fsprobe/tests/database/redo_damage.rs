//! A redo log whose end is torn, and files that are none.

use std::sync::OnceLock;

use fsprobe::redo::{Redo, RedoError, read};
use proptest::prelude::*;

use crate::server::Server;

/// A log with something to recover.
fn log() -> &'static [u8] {
    static LOG: OnceLock<Vec<u8>> = OnceLock::new();
    LOG.get_or_init(|| {
        let options = ["--innodb-log-file-size=4M"];
        let mut server = Server::start(&options);
        // So that there are two checkpoints.
        server.shut_down();
        server.start_again(&options);
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT) ENGINE=InnoDB; INSERT INTO d.t VALUES (1), (2)");
        server.sql("FLUSH LOCAL ENGINE LOGS");
        server.kill();
        server.file("ib_logfile0")
    })
}

/// Where an LSN is in the file.
fn place(lsn: u64) -> usize {
    let first = u64::from_be_bytes(log()[8..16].try_into().unwrap());
    12288 + ((lsn - first) % (log().len() as u64 - 12288)) as usize
}

fn whole() -> Redo {
    read(&log().to_vec()).unwrap()
}

#[test]
fn the_log_ends_before_the_first_mini_transaction_with_a_changed_bit() {
    let Redo { checkpoint_lsn, end_lsn, .. } = whole();
    let mut ends = Vec::new();
    for lsn in (checkpoint_lsn..end_lsn).rev().take(2000) {
        let mut changed = log().to_vec();
        changed[place(lsn)] ^= 1 << (lsn % 8);
        match read(&changed) {
            Ok(redo) => {
                assert!(redo.end_lsn <= lsn, "{lsn}: {redo:?}");
                ends.push(redo.end_lsn);
            }
            // Before that the checkpoint is not there either.
            Err(error) => assert!(matches!(error, RedoError::Bad(_)), "{lsn}: {error}"),
        }
    }
    ends.dedup();
    assert!(ends.len() > 3 && ends.is_sorted_by(|later, earlier| later > earlier));
}

#[test]
fn what_was_cut_off_by_zeros_is_not_there() {
    let Redo { end_lsn, .. } = whole();
    let mut cut = log().to_vec();
    cut[place(end_lsn - 3)..place(end_lsn)].fill(0);
    assert!(read(&cut).unwrap().end_lsn < end_lsn - 3);
}

#[test]
fn the_other_checkpoint_is_taken_where_one_is_torn() {
    let lsn_at = |block: usize| u64::from_be_bytes(log()[block..block + 8].try_into().unwrap());
    let newer = if lsn_at(4096) > lsn_at(8192) { 4096 } else { 8192 };
    let other = 12288 - newer;
    // A young log has but one.
    let mut torn = log().to_vec();
    torn.copy_within(newer..newer + 64, other);
    torn[newer] ^= 1;
    assert_eq!(read(&torn).unwrap(), whole());
    torn[other] ^= 1;
    assert!(matches!(read(&torn), Err(RedoError::Bad(detail)) if detail.contains("no checkpoint")));
}

#[test]
fn a_checkpoint_beyond_all_numbers_is_none() {
    let mut changed = log().to_vec();
    for block in [4096, 8192] {
        changed[block..block + 16].fill(0xff);
        let sum = crc32c(&changed[block..block + 60]).to_be_bytes();
        changed[block + 60..block + 64].copy_from_slice(&sum);
    }
    assert!(matches!(read(&changed), Err(RedoError::Bad(detail)) if detail.contains("no checkpoint")));
}

#[test]
fn a_checkpoint_without_its_record_is_damage() {
    let mut changed = log().to_vec();
    changed[place(whole().checkpoint_lsn)] = 0;
    assert!(matches!(read(&changed), Err(RedoError::Bad(detail)) if detail.contains("its records end at LSN")));
}

#[test]
fn a_header_with_a_changed_bit_is_damage_or_no_header() {
    for byte in 0..512 {
        let mut changed = log().to_vec();
        changed[byte] ^= 1 << (byte % 8);
        let refused = read(&changed).unwrap_err();
        assert!(matches!(refused, RedoError::Bad(_) | RedoError::NotThisFormat(_)), "{byte}: {refused}");
    }
}

#[test]
fn other_files_are_no_logs_of_this_format() {
    for format in [0_u32, 6, 103, 0x5048_5953] {
        let mut other = vec![0; 1 << 20];
        other[..4].copy_from_slice(&format.to_be_bytes());
        assert!(matches!(read(&other), Err(RedoError::NotThisFormat(_))), "{format}");
    }
    assert!(matches!(read(&Vec::new()), Err(RedoError::NotThisFormat(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_bytes_do_not_panic(
        patches in proptest::collection::vec((0_usize..70_000, any::<u8>()), 0..12),
        size in 0_usize..70_000,
    ) {
        let mut changed = log()[..12288 + size].to_vec();
        for (at, byte) in patches {
            if let Some(place) = changed.get_mut(at) {
                *place = byte;
            }
        }
        // So that what is changed in them is believed.
        let sum = |bytes: &[u8]| crc32c(bytes).to_be_bytes();
        for (start, at) in [(0, 508), (4096, 60), (8192, 60)] {
            let sum = sum(&changed[start..start + at]);
            changed[start + at..start + at + 4].copy_from_slice(&sum);
        }
        if let Ok(redo) = read(&changed) {
            prop_assert!(redo.checkpoint_lsn < redo.end_lsn);
        }
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}
