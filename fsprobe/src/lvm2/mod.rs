//! LVM2 within a disk: its physical volumes, the groups that they form, and where the logical volumes are.
//!
//! The format is specified by LVM2's sources only: `lib/format_text/layout.h`, `lib/label/label.h` and
//! `lib/format_text/format-text.c`.

mod assemble;
mod claims;
mod group;
mod label;
mod mda;
mod physical;
mod text;
mod vg;

pub(crate) use assemble::assemble;
pub(crate) use label::{has_label, pv_uuid};

use crc::{Algorithm, Crc};

/// LVM's checksum: the polynomial of CRC-32, another first value, and no final inversion.
fn crc(bytes: &[u8]) -> u32 {
    const LVM2: Algorithm<u32> = Algorithm {
        width: 32,
        poly: 0x04c1_1db7,
        init: 0xf597_a6cf_u32.reverse_bits(),
        refin: true,
        refout: true,
        xorout: 0,
        check: 0,
        residue: 0,
    };
    const CRC: Crc<u32> = Crc::<u32>::new(&LVM2);
    CRC.checksum(bytes)
}
