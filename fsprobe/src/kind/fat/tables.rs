//! The allocation table and its copies.

use super::Parameters;
use crate::bytes::{has, le16};
use crate::read_at::read;
use crate::{Depth, Finding, Findings, ProbeError, ReadAt, Severity};

/// Of each table, in the default check. The tables of most volumes are no longer.
const DEFAULT_BYTES: u64 = 4 << 20;
const CHUNK_BYTES: u64 = 256 << 10;
/// `BPB_ExtFlags` of FAT32: only the table with the number in the low bits is kept.
const NOT_MIRRORED: u16 = 0x80;

/// Compares each table with the first, and that with the boot sector.
///
/// Where the volume `is_in_use`, a copy may lag behind.
pub(super) fn compare(
    volume: &dyn ReadAt,
    sector: &[u8],
    parameters: &Parameters,
    is_in_use: bool,
    depth: Depth,
    findings: &mut Findings,
) -> Result<(), ProbeError> {
    let ext_flags = if parameters.is_fat32 { le16(sector, 40) } else { 0 };
    let is_mirrored = ext_flags & NOT_MIRRORED == 0;
    let active = if is_mirrored { 0 } else { u64::from(ext_flags & 0xf).min(parameters.fats - 1) };
    // The first entry is the media byte, filled up with ones.
    let first = read(volume, parameters.fat_at(active), 2, "FAT")?;
    if !has(&first, 0, &[parameters.media, 0xff]) {
        let detail = format!("it begins with {first:02x?}, not with the media byte {:#04x}", parameters.media);
        findings.push(Finding::damage("fat-table-bad", place(active), detail));
    }
    let size = parameters.fat_sectors * parameters.sector_bytes;
    let looked = if depth == Depth::Deep { size } else { size.min(DEFAULT_BYTES) };
    for copy in (1..parameters.fats).filter(|_| is_mirrored) {
        if let Some(at) = first_difference(volume, parameters.fat_at(0), parameters.fat_at(copy), looked)? {
            let detail = format!("it differs from the first at byte {at} of it: one of them is wrong");
            let severity = if is_in_use { Severity::Unknown } else { Severity::Damage };
            findings.push(Finding::new(severity, "fat-tables-differ", place(copy), detail));
        }
    }
    if looked < size && depth == Depth::Default {
        let detail = format!("of {size} bytes the first {looked} are compared; `--deep` compares all");
        findings.push(Finding::note("fat-tables-partly", "FAT", detail));
    }
    Ok(())
}

fn place(number: u64) -> String {
    format!("FAT {}", number + 1)
}

fn first_difference(volume: &dyn ReadAt, one: u64, other: u64, length: u64) -> Result<Option<u64>, ProbeError> {
    for at in (0..length).step_by(CHUNK_BYTES as usize) {
        let chunk = usize::try_from((length - at).min(CHUNK_BYTES)).unwrap_or(0);
        let (a, b) = (read(volume, one + at, chunk, "FAT")?, read(volume, other + at, chunk, "copy of the FAT")?);
        if a != b {
            let within = a.iter().zip(&b).position(|(a, b)| a != b).unwrap_or(0);
            return Ok(Some(at + within as u64));
        }
    }
    Ok(None)
}
