//! NTFS: was it left in order?
use crate::bytes::{has, le16};

/// Whether a first sector is that of an NTFS volume.
pub(crate) fn has_boot_sector(sector: &[u8]) -> bool {
    has(sector, 3, b"NTFS    ") && matches!(le16(sector, 11), 256 | 512 | 1024 | 2048 | 4096)
}

pub(crate) fn check(_volume: &dyn crate::ReadAt) -> Result<Vec<crate::Finding>, crate::ProbeError> {
    Ok(vec![crate::Finding::unknown("not-judged", "content", "NTFS is not judged yet")])
}
