//! The boot sector: sizes, and where the MFT begins.

use crate::bytes::{has, le16, le64, u8_at};
use crate::read_at::read;
use crate::{ProbeError, ReadAt};

/// Whether a first sector is that of an NTFS volume.
pub(crate) fn has_boot_sector(sector: &[u8]) -> bool {
    has(sector, 3, b"NTFS    ") && matches!(le16(sector, 11), 256 | 512 | 1024 | 2048 | 4096)
}

/// What the boot sector says.
#[derive(Debug, Clone)]
pub(super) struct Boot {
    pub volume_bytes: u64,
    pub cluster_bytes: u64,
    pub mft_bytes: u64,
    /// Where the copy of its first records is.
    pub mirror_bytes: u64,
    pub record_bytes: usize,
}

impl Boot {
    pub fn read(volume: &dyn ReadAt) -> Result<Result<Self, String>, ProbeError> {
        Ok(Self::parse(&read(volume, 0, 512, "NTFS boot sector")?))
    }

    fn parse(sector: &[u8]) -> Result<Self, String> {
        if !has_boot_sector(sector) {
            return Err("it is no NTFS boot sector".into());
        }
        let sector_bytes = u64::from(le16(sector, 11));
        // Above 128 it is the negative of a power of two.
        let sectors_per_cluster = match u8_at(sector, 13) {
            n @ 0..=128 => u64::from(n),
            n => 1_u64.checked_shl(u32::from(n.wrapping_neg())).unwrap_or(0),
        };
        let cluster_bytes = sector_bytes.saturating_mul(sectors_per_cluster);
        if !cluster_bytes.is_power_of_two() || cluster_bytes > 2 << 20 {
            return Err(format!("a cluster of {cluster_bytes} bytes is impossible"));
        }
        let record_bytes = match u8_at(sector, 0x40) {
            n @ 0..=127 => u64::from(n) * cluster_bytes,
            n => 1_u64.checked_shl(u32::from(n.wrapping_neg())).unwrap_or(0),
        };
        if !record_bytes.is_power_of_two() || !(512..=65536).contains(&record_bytes) {
            return Err(format!("an MFT record of {record_bytes} bytes is impossible"));
        }
        let (sectors, mft) = (le64(sector, 0x28), le64(sector, 0x30));
        let volume_bytes = sectors.checked_mul(sector_bytes);
        let mft_bytes = mft.checked_mul(cluster_bytes).filter(|at| *at < volume_bytes.unwrap_or(0));
        let (Some(volume_bytes), Some(mft_bytes)) = (volume_bytes, mft_bytes) else {
            return Err(format!("the MFT at cluster {mft} is outside of the volume of {sectors} sectors"));
        };
        let mirror = le64(sector, 0x38);
        let Some(mirror_bytes) = mirror.checked_mul(cluster_bytes).filter(|at| *at < volume_bytes) else {
            return Err(format!("the MFT's copy at cluster {mirror} is outside of the volume of {sectors} sectors"));
        };
        let record_bytes = usize::try_from(record_bytes).map_err(|error| error.to_string())?;
        Ok(Self { volume_bytes, cluster_bytes, mft_bytes, mirror_bytes, record_bytes })
    }
}
