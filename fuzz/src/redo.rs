//! Hostile redo logs.

use fsprobe::redo::read as read_log;

const START: usize = 12288;

/// Reads the log that `input` describes: the size of its ring, its LSNs, and what is in the ring: bytes as they are, or
/// mini-transactions of `length:u8 records`, whose ends are made right, around the ring as often as it takes.
pub fn read(input: &[u8]) {
    let Some((&[how, size, first, checkpoint, end], input)) = input.split_first_chunk() else { return };
    let capacity = 64 + usize::from(size) * 16;
    let first_lsn = START as u64 + if how & 2 != 0 { u64::MAX >> (first & 63) >> 1 } else { first.into() };
    let checkpoint_lsn = first_lsn.saturating_add(checkpoint.into());
    let mut log = vec![0; START + capacity];
    log[..4].copy_from_slice(b"Phys");
    log[8..16].copy_from_slice(&first_lsn.to_be_bytes());
    log[4096..4104].copy_from_slice(&checkpoint_lsn.to_be_bytes());
    log[4104..4112].copy_from_slice(&checkpoint_lsn.saturating_add(end.into()).to_be_bytes());
    for (start, at) in [(0, 508), (4096, 60)] {
        let sum = crc32c::crc32c(&log[start..start + at]).to_be_bytes();
        log[start + at..start + at + 4].copy_from_slice(&sum);
    }
    let ring = &mut log[START..];
    if how & 1 == 0 {
        ring.iter_mut().zip(input).for_each(|(there, byte)| *there = *byte);
    } else {
        transactions(ring, usize::from(checkpoint), checkpoint_lsn, input);
    }
    let Ok(redo) = read_log(&log) else { return };
    assert!(redo.checkpoint_lsn == checkpoint_lsn && redo.end_lsn > checkpoint_lsn);
    assert!(redo.end_lsn - checkpoint_lsn <= capacity as u64);
    std::hint::black_box(redo.is_clean());
}

fn transactions(ring: &mut [u8], mut at: usize, checkpoint_lsn: u64, mut input: &[u8]) {
    let capacity = ring.len();
    let mut put = |bytes: &[u8]| {
        let mut whole = bytes.to_vec();
        whole.push(u8::from(((at + bytes.len()) / capacity).is_multiple_of(2)));
        whole.extend(crc32c::crc32c(bytes).to_be_bytes());
        for byte in whole {
            ring[at % capacity] = byte;
            at += 1;
        }
    };
    put(&[&[0xfa, 0, 0][..], &checkpoint_lsn.to_be_bytes()].concat());
    while let Some((&length, rest)) = input.split_first() {
        let (records, rest) = rest.split_at(usize::from(length).min(rest.len()));
        put(records);
        input = rest;
    }
}
