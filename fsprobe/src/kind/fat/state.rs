//! Whether a volume was unmounted, as the boot sector (Linux) or the second FAT entry (Windows) says.

use super::Parameters;
use crate::bytes::{le16, le32, u8_at};
use crate::read_at::read;
use crate::{Finding, ProbeError, ReadAt};

/// What to say of it; nothing where it was unmounted.
pub(super) fn state(
    volume: &dyn ReadAt,
    sector: &[u8],
    parameters: &Parameters,
) -> Result<Option<Finding>, ProbeError> {
    Ok(match is_dirty(volume, sector, parameters)? {
        Some(false) => None,
        Some(true) => Some(in_use()),
        None => Some(Finding::unknown("not-judged", "boot sector", "FAT12 does not say whether it was unmounted")),
    })
}

/// The same for exFAT.
pub(crate) fn in_use() -> Finding {
    let detail = "it is marked as in use: it was mounted when this was copied, or never unmounted";
    Finding::unknown("fat-dirty", "boot sector", detail)
}

/// `None` for FAT12, which has no place for Windows' mark.
fn is_dirty(volume: &dyn ReadAt, sector: &[u8], parameters: &Parameters) -> Result<Option<bool>, ProbeError> {
    let state = u8_at(sector, if parameters.is_fat32 { 0x41 } else { 0x25 });
    let by_linux = state & 1 != 0;
    let fat = parameters.fat_at(0);
    let by_windows = if parameters.is_fat32 {
        le32(&read(volume, fat, 8, "FAT")?, 4) & 0x0800_0000 == 0
    } else if parameters.is_fat12() {
        return Ok(by_linux.then_some(true));
    } else {
        le16(&read(volume, fat, 4, "FAT")?, 2) & 0x8000 == 0
    };
    Ok(Some(by_linux || by_windows))
}
