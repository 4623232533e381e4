//! Puts the checksums right that would keep a patched structure from being read.

use crc::{Algorithm, CRC_32_ISO_HDLC, Crc};
use fsprobe::ReadAt;

use crate::disk::Image;

const GPT_CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// LVM2's: no final inversion, and a start of its own.
const LVM_CRC: Crc<u32> =
    Crc::<u32>::new(&Algorithm { init: 0xf597_a6cf_u32.reverse_bits(), xorout: 0, ..CRC_32_ISO_HDLC });
/// What is read to be summed up; the parsers have bounds of their own.
const MAX_BYTES: usize = 4 << 20;

/// Makes right whatever is recognised by its magic number.
pub fn make_right(image: &mut Image<'_>) {
    let size = image.size_bytes();
    for sector in [512, 4096] {
        gpt(image, sector, sector);
        gpt(image, (size / sector).saturating_sub(1) * sector, sector);
    }
    lvm2(image);
    ext4(image);
    xfs(image);
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

fn gpt(image: &mut Image<'_>, at: u64, sector: u64) {
    let Some(header) = image.bytes(at, 512).filter(|header| header.starts_with(b"EFI PART")) else { return };
    let length = (le32(&header, 80) as usize).saturating_mul(le32(&header, 84) as usize);
    if length <= MAX_BYTES
        && let Some(entries) = image.bytes(le64(&header, 72).saturating_mul(sector), length)
    {
        image.write(at + 88, &GPT_CRC.checksum(&entries).to_le_bytes());
    }
    image.write(at + 16, &[0; 4]);
    if let Some(header) = image.bytes(at, (le32(&header, 12) as usize).min(4096)) {
        image.write(at + 16, &GPT_CRC.checksum(&header).to_le_bytes());
    }
}

/// The label in sector 1, the metadata area that LVM2 makes first, and its text.
fn lvm2(image: &mut Image<'_>) {
    const AREA: u64 = 4096;
    let Some(label) = image.bytes(512, 512).filter(|label| label.starts_with(b"LABELONE")) else { return };
    image.write(512 + 16, &LVM_CRC.checksum(&label[20..]).to_le_bytes());
    let Some(header) = image.bytes(AREA, 512) else { return };
    let (offset, length, size) = (le64(&header, 40), le64(&header, 48), le64(&header, 32));
    if length <= MAX_BYTES as u64 && offset <= size {
        let first = length.min(size - offset);
        let parts = [(offset, first), (512, length - first)];
        let text = parts.map(|(at, length)| image.bytes(AREA.saturating_add(at), length as usize));
        if let [Some(first), Some(second)] = text {
            image.write(AREA + 56, &LVM_CRC.checksum(&[first, second].concat()).to_le_bytes());
        }
    }
    if let Some(header) = image.bytes(AREA, 512) {
        image.write(AREA, &LVM_CRC.checksum(&header[4..]).to_le_bytes());
    }
}

/// The superblock. What it leads to is reached in the seeds that have no checksums.
fn ext4(image: &mut Image<'_>) {
    let Some(superblock) = image.bytes(1024, 1024).filter(|superblock| superblock[56..58] == [0x53, 0xef]) else {
        return;
    };
    image.write(1024 + 0x3fc, &(!crc32c::crc32c(&superblock[..0x3fc])).to_le_bytes());
}

/// The superblocks and headers of the first groups, inodes and the extents of files, where they are version 5.
fn xfs(image: &mut Image<'_>) {
    const GROUPS: u64 = 8;
    let Some(superblock) = image.bytes(0, 512).filter(|superblock| superblock.starts_with(b"XFSB")) else { return };
    let be32 = |at: usize| u64::from(le32(&superblock, at).swap_bytes());
    let (block, group_blocks) = (be32(4), be32(84));
    let sector = usize::from(u16::from_be_bytes([superblock[102], superblock[103]]));
    if superblock[101] & 0xf != 5 || !(512..=4096).contains(&sector) {
        return;
    }
    for group in 0..GROUPS {
        let start = group.saturating_mul(group_blocks).saturating_mul(block);
        for (number, crc_at) in [(0, 224), (1, 216), (2, 312), (3, 32)] {
            let at = start.saturating_add(number * sector as u64);
            let Some(mut header) = image.bytes(at, sector) else { return };
            header[crc_at..crc_at + 4].fill(0);
            image.write(at + crc_at as u64, &crc32c::crc32c(&header).to_le_bytes());
        }
    }
    for (magic, length, crc_at) in [(&b"IN"[..], 512, 100), (b"BMA3", 4096, 64), (b"IAB3", 4096, 52)] {
        for at in image.seeded_with(magic) {
            let Some(mut bytes) = image.bytes(at, length) else { continue };
            bytes[crc_at..crc_at + 4].fill(0);
            image.write(at + crc_at as u64, &crc32c::crc32c(&bytes).to_le_bytes());
        }
    }
}
