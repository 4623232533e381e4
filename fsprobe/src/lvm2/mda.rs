//! A metadata area: a header of 512 bytes, and behind it a ring of texts, the newest of which the header points at
//! (LVM2 `lib/format_text/layout.h`: `struct mda_header`, `struct raw_locn`).

use super::crc;
use crate::ReadAt;
use crate::bytes::{has, le32, le64};
use crate::read_at::read;

const MAGIC: &[u8; 16] = b" LVM2 x[5A%r0N*>";
const HEADER_BYTES: u64 = 512;
const RAW_LOCN_IGNORED: u32 = 1;
/// A text of this length describes thousands of volumes; LVM's own default area holds half a mebibyte.
const MAX_TEXT_BYTES: u64 = 4 << 20;

/// Reads the committed text of the area at `offset`; `None` where the area is in order and holds none. Its length is taken
/// from `left_bytes`.
///
/// The error says what is wrong with the area.
pub(super) fn text(pv: &dyn ReadAt, offset: u64, size: u64, left_bytes: &mut u64) -> Result<Option<Vec<u8>>, String> {
    let header = read(pv, offset, 512, "metadata area header").map_err(|error| error.to_string())?;
    let (stored, computed) = (le32(&header, 0), crc(header.get(4..).unwrap_or_default()));
    if stored != computed {
        return Err(format!("the header's checksum is {stored:#010x}, its bytes give {computed:#010x}"));
    }
    if !has(&header, 4, MAGIC) || le32(&header, 20) != 1 {
        return Err("the header's magic or version is not that of LVM2".into());
    }
    let (start, area_size) = (le64(&header, 24), le64(&header, 32));
    if (start, area_size) != (offset, size) {
        return Err(format!("the header says bytes {start} + {area_size}, the label says {offset} + {size}"));
    }
    let (text_offset, text_size) = (le64(&header, 40), le64(&header, 48));
    let (checksum, flags) = (le32(&header, 56), le32(&header, 60));
    if text_offset == 0 || flags & RAW_LOCN_IGNORED != 0 {
        return Ok(None);
    }
    let room = area_size.saturating_sub(HEADER_BYTES);
    if text_size > MAX_TEXT_BYTES {
        return Err(format!("its text has {text_size} bytes, more than the {MAX_TEXT_BYTES} that are read"));
    }
    if text_size > room || text_offset < HEADER_BYTES || text_offset >= area_size {
        return Err(format!("its text of {text_size} bytes at {text_offset} does not fit its {area_size} bytes"));
    }
    *left_bytes = left_bytes.checked_sub(text_size).ok_or("the disk has more metadata than is read")?;
    // The ring begins anew behind the header.
    let first = text_size.min(area_size - text_offset);
    let part = |at: u64, length: u64| {
        let at = offset.checked_add(at).ok_or("its place overflows")?;
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        read(pv, at, length, "metadata text").map_err(|error| error.to_string())
    };
    let mut bytes = part(text_offset, first)?;
    bytes.append(&mut part(HEADER_BYTES, text_size - first)?);
    let computed = crc(&bytes);
    if checksum != computed {
        return Err(format!("the text's checksum is {checksum:#010x}, its bytes give {computed:#010x}"));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_while_there_is_room_for_it() {
        let mut area = vec![0; 1024];
        area[512..516].copy_from_slice(b"vg{}");
        area[4..20].copy_from_slice(MAGIC);
        area[20] = 1;
        for (at, value) in [(32, 1024_u64), (40, 512), (48, 4), (56, crc(b"vg{}").into())] {
            area[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let checksum = crc(&area[4..512]);
        area[..4].copy_from_slice(&checksum.to_le_bytes());
        let mut left_bytes = 7;
        assert_eq!(text(&area, 0, 1024, &mut left_bytes).unwrap().unwrap(), b"vg{}");
        assert_eq!(left_bytes, 3);
        assert_eq!(text(&area, 0, 1024, &mut left_bytes).unwrap_err(), "the disk has more metadata than is read");
    }
}
