//! A mini-transaction: records that are applied together or not at all (`recv_sys_t::parse` of `log0recv.cc`).

use super::ring::Ring;
use crate::ProbeError;

/// `MTR_SIZE_MAX`.
const MAX_BYTES: u64 = 1 << 20;
/// Of a record that says nothing but which checkpoint was made: type and length, tablespace 0, page 0, LSN.
const CHECKPOINT: [u8; 3] = [0xfa, 0, 0];
/// `SIZE_OF_FILE_CHECKPOINT`: that record, the byte that ends it, the checksum.
pub(super) const CHECKPOINT_BYTES: u64 = 3 + 8 + 1 + 4;

/// What is at an LSN.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A mini-transaction.
    Whole {
        /// Where the next one begins.
        end_lsn: u64,
        /// The LSN of the checkpoint that it says was made.
        checkpoint: Option<u64>,
    },
    /// None: the log ends there.
    End,
}

/// Reads what is at `lsn`.
pub(super) fn next(ring: &mut Ring<'_>, lsn: u64) -> Result<Next, ProbeError> {
    let mut at = lsn;
    let mut checkpoint = None;
    let end_byte = loop {
        let [byte] = ring.array(at)?;
        if byte <= 1 {
            break byte;
        }
        // The server does not count the first byte of a record, and there is one more at least.
        if at - lsn >= ring.capacity_bytes().min(2 * MAX_BYTES) {
            return Ok(Next::End);
        }
        if ring.array(at)? == CHECKPOINT {
            checkpoint = Some(u64::from_be_bytes(ring.array(at + 3)?));
        }
        match record_bytes(ring.array(at)?) {
            Some(length) => at += length,
            None => return Ok(Next::End),
        }
    };
    let is_whole = at > lsn
        && end_byte == ring.sequence_bit(at)
        && ring.checksum(lsn, at)? == u32::from_be_bytes(ring.array(at + 1)?);
    Ok(if is_whole { Next::Whole { end_lsn: at + 5, checkpoint } } else { Next::End })
}

/// How long a record is, by its first bytes: the lower four bits of the first count what follows it. Where they are zero, a
/// number of one to five bytes does, itself included, from 15 on (`mlog_decode_varint`).
fn record_bytes([first, a, b, c, d, e]: [u8; 6]) -> Option<u64> {
    let short = u64::from(first & 0xf);
    if short != 0 {
        return Some(1 + short);
    }
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
    // Each length begins where the one before ends.
    let [two, three, four, five] = [1 << 7, (1 << 7) + (1 << 14), (1 << 7) + (1 << 14) + (1 << 21), 0x1020_4080];
    let more = match a {
        0..0x80 => number(&[a]),
        0x80..0xc0 => two + number(&[a & 0x3f, b]),
        0xc0..0xe0 => three + number(&[a & 0x1f, b, c]),
        0xe0..0xf0 => four + number(&[a & 0xf, b, c, d]),
        0xf0 => five + number(&[b, c, d, e]),
        _ => return None,
    };
    (more < MAX_BYTES).then_some(1 + 15 + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_in_the_first_byte_or_in_those_behind_it() {
        for (bytes, length) in [
            ([0x31, 0, 0, 0, 0, 0], Some(2)),
            ([0x3f, 0, 0, 0, 0, 0], Some(16)),
            ([0x30, 0, 0, 0, 0, 0], Some(16)),
            ([0x30, 0x7f, 0, 0, 0, 0], Some(16 + 127)),
            ([0x30, 0x80, 0, 0, 0, 0], Some(16 + 128)),
            ([0x30, 0xbf, 0xff, 0, 0, 0], Some(16 + 128 + 0x3fff)),
            ([0x30, 0xc0, 0, 0, 0, 0], Some(16 + 128 + 0x4000)),
            ([0x30, 0xdf, 0, 0, 0, 0], None),
            ([0x30, 0xe0, 0, 0, 0, 0], None),
            ([0x30, 0xff, 0, 0, 0, 0], None),
        ] {
            assert_eq!(record_bytes(bytes), length, "{bytes:x?}");
        }
    }
}
