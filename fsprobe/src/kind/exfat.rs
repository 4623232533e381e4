//! exFAT ("exFAT file system specification", Microsoft).

use super::fat::in_use;
use crate::bytes::{has, le16, le32, le64, u8_at};
use crate::identity::{Identity, serial, utf16};
use crate::read_at::read;
use crate::{Finding, Findings, ProbeError, ReadAt};

/// `VolumeFlags`, 3.1.13: `VolumeDirty` and `MediaFailure`.
const DIRTY: u16 = 0x2 | 0x4;
/// Sectors of a boot region that its checksum, in the next one, covers.
const SUMMED_SECTORS: usize = 11;
const MAX_SECTOR_BYTES: usize = 4096;
/// Of the root folder; the label is among the first entries.
const MAX_FOLDER_BYTES: u64 = 64 << 10;

/// Section 3.1: `MustBeZero` is where FAT has its parameters.
pub(super) fn has_boot_sector(head: &[u8]) -> bool {
    let zeros = head.get(11..64).is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0));
    has(head, 3, b"EXFAT   ") && zeros && (9..=12).contains(&u8_at(head, 108)) && le64(head, 72) != 0
}

/// Adds what is known of the state of an exFAT volume; nothing where it was unmounted.
pub(crate) fn check(volume: &dyn ReadAt, findings: &mut Findings) -> Result<(), ProbeError> {
    let head = read(volume, 0, 512, "exFAT boot sector")?;
    let sector_bytes = 1_usize << u8_at(&head, 108).clamp(9, 12);
    let says = le64(&head, 72).saturating_mul(sector_bytes as u64);
    if says > volume.size_bytes() {
        let detail = format!("the filesystem has {says} bytes, its volume {}: is it truncated?", volume.size_bytes());
        findings.push(Finding::damage("fat-truncated", "boot sector", detail));
    }
    if le16(&head, 106) & DIRTY != 0 {
        findings.push(in_use());
    }
    let region = read(volume, 0, (SUMMED_SECTORS + 1) * sector_bytes.min(MAX_SECTOR_BYTES), "exFAT boot region")?;
    let (summed, stored) = region.split_at(SUMMED_SECTORS * sector_bytes);
    let (computed, stored) = (boot_checksum(summed), le32(stored, 0));
    if computed != stored {
        let detail =
            format!("its checksum is {stored:#010x}, its bytes give {computed:#010x}: the kernel does not mount it");
        findings.push(Finding::damage("exfat-boot-checksum", "boot region at byte 0", detail));
    }
    Ok(())
}

/// Section 3.4, without `VolumeFlags` and `PercentInUse`, which change while it is mounted.
fn boot_checksum(sectors: &[u8]) -> u32 {
    let summed = sectors.iter().enumerate().filter(|(at, _)| !matches!(at, 106 | 107 | 112));
    summed.fold(0, |sum: u32, (_, byte)| sum.rotate_right(1).wrapping_add(u32::from(*byte)))
}

/// The label of the root folder (7.3), and the serial number (3.1.11).
pub(crate) fn identity(volume: &dyn ReadAt) -> Option<Identity> {
    const LABEL_ENTRY: u8 = 0x83;
    let head = read(volume, 0, 512, "").ok()?;
    let (sector, per_cluster) = (u32::from(u8_at(&head, 108)), u32::from(u8_at(&head, 109)));
    let cluster_bytes = 1_u64.checked_shl(sector.checked_add(per_cluster)?).filter(|bytes| *bytes <= 32 << 20)?;
    let heap = u64::from(le32(&head, 88)).checked_shl(sector)?;
    let cluster = u64::from(le32(&head, 96)).checked_sub(2)?;
    let at = cluster.checked_mul(cluster_bytes)?.checked_add(heap)?;
    let folder = read(volume, at, usize::try_from(cluster_bytes.min(MAX_FOLDER_BYTES)).ok()?, "");
    let entries = folder.unwrap_or_default();
    let mut entries = entries.chunks_exact(32).take_while(|entry| u8_at(entry, 0) != 0);
    let label = entries.find(|entry| u8_at(entry, 0) == LABEL_ENTRY).and_then(|entry| {
        let units = usize::from(u8_at(entry, 1)).min(11);
        entry.get(2..2 + 2 * units).and_then(utf16)
    });
    Some(Identity { label, uuid: Some(serial(le32(&head, 100))) })
}
