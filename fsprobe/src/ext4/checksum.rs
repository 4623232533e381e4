//! The three checksums of ext4 and jbd2, as the kernel seeds and chains them.
//!
//! <https://docs.kernel.org/filesystems/ext4/overview.html#checksums>

use crc::{CRC_16_MODBUS, CRC_32_MPEG_2, Crc, Table};

/// CRC-32C without the final inversion, so that one call's result seeds the next: `crc32c_le(!0, a)` then `(.., b)`.
pub(super) fn crc32c_le(seed: u32, data: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, data)
}

/// CRC-32C over `record` with the bytes of its own checksum field (at `hole`, `hole_length` long) taken as zero.
pub(super) fn crc32c_without(seed: u32, record: &[u8], hole: usize, hole_length: usize) -> u32 {
    const ZEROS: [u8; 8] = [0; 8];
    let before = record.get(..hole).unwrap_or(record);
    let after = record.get(hole.saturating_add(hole_length)..).unwrap_or_default();
    let zeros = ZEROS.get(..hole_length).unwrap_or(&ZEROS);
    crc32c_le(crc32c_le(crc32c_le(seed, before), zeros), after)
}

/// CRC-16 (polynomial 0x8005 reflected, all ones at the start) over the parts in order: `GDT_CSUM`.
pub(super) fn crc16(parts: &[&[u8]]) -> u16 {
    const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_MODBUS);
    let mut digest = CRC.digest();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize()
}

/// CRC-32 with the most significant bit first, not inverted at the end, which jbd2's version 1 checksum uses.
pub(super) fn crc32_be(seed: u32, data: &[u8]) -> u32 {
    static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_MPEG_2);
    let mut digest = CRC.digest_with_initial(seed);
    digest.update(data);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chained_crc32c_equals_the_crc32c_of_the_whole() {
        assert_eq!(crc32c_le(!0, b"123456789"), !0xe306_9283);
        assert_eq!(crc32c_le(crc32c_le(!0, b"1234"), b"56789"), crc32c_le(!0, b"123456789"));
        assert_eq!(crc32c_without(!0, b"12xx5", 2, 2), crc32c_le(!0, b"12\0\x005"));
    }

    #[test]
    fn a_chained_crc32_be_equals_the_one_of_the_whole() {
        assert_eq!(crc32_be(!0, b"123456789"), 0x0376_e6e7);
        assert_eq!(crc32_be(crc32_be(!0, b"1234"), b"56789"), 0x0376_e6e7);
    }

    #[test]
    fn crc16_has_its_published_check_value() {
        assert_eq!(crc16(&[b"1234", b"56789"]), 0x4b37);
    }
}
