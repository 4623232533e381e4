//! The label and header of a physical volume (LVM2 `lib/format_text/layout.h`, `lib/label/label.h`).
//!
//! All integers are little-endian; offsets are bytes from the start of the physical volume.

use super::crc;
use crate::ReadAt;
use crate::bytes::{has, le32, le64};
use crate::read_at::read;

const SECTOR: usize = 512;
/// The label is in one of these many first sectors.
const LABEL_SECTORS: usize = 4;
/// LVM writes at most two metadata areas and one data area; more is not believed.
const MAX_AREAS: usize = 16;
const PV_EXT_USED: u32 = 1;

/// `struct pv_header` with the areas that it lists.
#[derive(Debug, Clone)]
pub(super) struct PvHeader {
    /// Without dashes, as on disk.
    pub pv_uuid: String,
    pub device_size_bytes: u64,
    /// `(offset, size)`.
    pub metadata_areas: Vec<(u64, u64)>,
    /// `PV_EXT_USED` of `struct pv_header_extension`: a group has it. Older LVMs do not say.
    pub is_used: bool,
}

/// Whether one of the first sectors has a label of type LVM2.
pub(crate) fn has_label(head: &[u8]) -> bool {
    labelled(head).is_some()
}

/// The UUID of a physical volume, as LVM shows it.
pub(crate) fn pv_uuid(volume: &dyn ReadAt) -> Option<String> {
    let header = parse(&read(volume, 0, 2048, "").ok()?).ok()?;
    let mut rest = header.pv_uuid.as_str();
    let mut parts = Vec::new();
    for length in [6, 4, 4, 4, 4, 4, 6] {
        let (part, behind) = rest.split_at_checked(length)?;
        parts.push(part);
        rest = behind;
    }
    Some(parts.join("-"))
}

fn labelled(head: &[u8]) -> Option<(u64, &[u8])> {
    let mut sectors = head.chunks_exact(SECTOR).take(LABEL_SECTORS).zip(0..);
    let found = sectors.find(|(sector, _)| has(sector, 0, b"LABELONE") && has(sector, 24, b"LVM2 001"));
    found.map(|(sector, number)| (number, sector))
}

/// Reads the label and header out of the first sectors of a volume; the error says what keeps them from being believed.
pub(super) fn parse(head: &[u8]) -> Result<PvHeader, String> {
    let (number, sector) = labelled(head).ok_or("it has no LVM2 label")?;
    let sector_xl = le64(sector, 8);
    if sector_xl != number {
        return Err(format!("the label in sector {number} says that it is in sector {sector_xl}"));
    }
    let (stored, computed) = (le32(sector, 16), crc(sector.get(20..).unwrap_or_default()));
    if stored != computed {
        return Err(format!("the label's checksum is {stored:#010x}, its bytes give {computed:#010x}"));
    }
    let header_at = usize::try_from(le32(sector, 20)).unwrap_or(SECTOR);
    let Some(header) = sector.get(header_at..).filter(|header| header.len() >= 40) else {
        return Err(format!("the label puts the header at byte {header_at} of its sector"));
    };
    let pv_uuid = header.get(..32).filter(|id| id.iter().all(u8::is_ascii_graphic));
    let pv_uuid = pv_uuid.and_then(|id| std::str::from_utf8(id).ok()).ok_or("the UUID is no text")?;
    let mut at = 40;
    areas(header, &mut at).ok_or("the list of data areas has no end")?;
    let metadata_areas = areas(header, &mut at).ok_or("the list of metadata areas has no end")?;
    // Version and flags of the extension follow; both are zero where there is none.
    let is_used = le32(header, at) >= 2 && le32(header, at + 4) & PV_EXT_USED != 0;
    Ok(PvHeader { pv_uuid: pv_uuid.into(), device_size_bytes: le64(header, 32), metadata_areas, is_used })
}

/// A list of `struct disk_locn`, which ends with one that is all zeros.
fn areas(header: &[u8], at: &mut usize) -> Option<Vec<(u64, u64)>> {
    let mut areas = Vec::new();
    while areas.len() < MAX_AREAS {
        header.get(*at..*at + 16)?;
        let area = (le64(header, *at), le64(header, *at + 8));
        *at += 16;
        if area == (0, 0) {
            return Some(areas);
        }
        areas.push(area);
    }
    None
}
