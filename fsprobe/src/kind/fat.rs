//! FAT12, FAT16 and FAT32 (Microsoft, "FAT: General Overview of On-Disk Format", 1.03).

use crate::bytes::{has, le16, le32, u8_at};
use crate::read_at::read;
use crate::{Finding, Kind, ProbeError, ReadAt};

/// Whether a first sector is that of a FAT volume: a jump, and parameters that fit together.
pub(super) fn is_boot_sector(sector: &[u8]) -> bool {
    let jump = has(sector, 0, &[0xe9]) || has(sector, 0, &[0xeb]);
    jump && Parameters::parse(sector).is_some()
}

/// The parameters that give the FAT's place and type.
struct Parameters {
    sector_bytes: u64,
    reserved_sectors: u64,
    clusters: u64,
    is_fat32: bool,
}

impl Parameters {
    fn parse(sector: &[u8]) -> Option<Self> {
        let sector_bytes = u64::from(le16(sector, 11));
        let sectors_per_cluster = u64::from(u8_at(sector, 13));
        let reserved_sectors = u64::from(le16(sector, 14));
        let fats = u64::from(u8_at(sector, 16));
        let root_entries = u64::from(le16(sector, 17));
        let media = u8_at(sector, 21);
        let fat_sectors = match le16(sector, 22) {
            0 => u64::from(le32(sector, 36)),
            n => u64::from(n),
        };
        let sectors = match le16(sector, 19) {
            0 => u64::from(le32(sector, 32)),
            n => u64::from(n),
        };
        let valid = matches!(sector_bytes, 512 | 1024 | 2048 | 4096)
            && sectors_per_cluster.is_power_of_two()
            && reserved_sectors > 0
            && fats > 0
            && fat_sectors > 0
            && (media == 0xf0 || media >= 0xf8);
        if !valid {
            return None;
        }
        let root_sectors = (root_entries * 32).div_ceil(sector_bytes);
        let data = sectors.checked_sub(reserved_sectors + fats * fat_sectors + root_sectors)?;
        let clusters = data / sectors_per_cluster;
        let is_fat32 = le16(sector, 22) == 0;
        (clusters > 0).then_some(Self { sector_bytes, reserved_sectors, clusters, is_fat32 })
    }
}

/// Whether the volume was unmounted, as the boot sector (Linux) or the second FAT entry (Windows) says.
pub(crate) fn state(volume: &dyn ReadAt, kind: Kind) -> Result<Option<Finding>, ProbeError> {
    let dirty = if kind == Kind::Exfat { exfat_is_dirty(volume)? } else { is_dirty(volume)? };
    Ok(match dirty {
        Some(false) => None,
        Some(true) => {
            let detail = "it is marked as in use: it was mounted when this was copied, or never unmounted";
            Some(Finding::unknown("fat-dirty", "boot sector", detail))
        }
        None => Some(Finding::unknown("not-judged", "boot sector", "FAT12 does not say whether it was unmounted")),
    })
}

/// `None` for FAT12, which has no place for Windows' mark.
fn is_dirty(volume: &dyn ReadAt) -> Result<Option<bool>, ProbeError> {
    let sector = read(volume, 0, 512, "FAT boot sector")?;
    let Some(parameters) = Parameters::parse(&sector) else { return Ok(None) };
    let state = u8_at(&sector, if parameters.is_fat32 { 0x41 } else { 0x25 });
    let by_linux = state & 1 != 0;
    let fat = parameters.reserved_sectors * parameters.sector_bytes;
    let by_windows = if parameters.is_fat32 {
        le32(&read(volume, fat, 8, "FAT")?, 4) & 0x0800_0000 == 0
    } else if parameters.clusters >= 4085 {
        le16(&read(volume, fat, 4, "FAT")?, 2) & 0x8000 == 0
    } else {
        return Ok(by_linux.then_some(true));
    };
    Ok(Some(by_linux || by_windows))
}

/// exFAT specification, section 3.1.13: `VolumeFlags`, bit 1 is `VolumeDirty`, bit 2 `MediaFailure`.
fn exfat_is_dirty(volume: &dyn ReadAt) -> Result<Option<bool>, ProbeError> {
    let sector = read(volume, 0, 512, "exFAT boot sector")?;
    Ok(Some(le16(&sector, 106) & 0x6 != 0))
}
