//! FAT12, FAT16 and FAT32 (Microsoft, "FAT: General Overview of On-Disk Format", 1.03).

mod check;
mod label;
mod state;
mod tables;

use crate::bytes::{has, le16, le32, u8_at};

pub(crate) use check::check;
pub(crate) use label::identity;
pub(super) use state::in_use;

/// Whether a first sector is that of a FAT volume: a jump, and parameters that fit together.
pub(super) fn is_boot_sector(sector: &[u8]) -> bool {
    let jump = has(sector, 0, &[0xe9]) || has(sector, 0, &[0xeb]);
    jump && Parameters::parse(sector).is_some()
}

/// The parameters of the boot sector, in the order in which the volume is laid out: reserved sectors, tables, the root
/// folder (not of FAT32), clusters.
struct Parameters {
    sector_bytes: u64,
    cluster_bytes: u64,
    sectors: u64,
    reserved_sectors: u64,
    fats: u64,
    fat_sectors: u64,
    root_entries: u64,
    clusters: u64,
    media: u8,
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
        let cluster_bytes = sectors_per_cluster * sector_bytes;
        (clusters > 0).then_some(Self {
            sector_bytes,
            cluster_bytes,
            sectors,
            reserved_sectors,
            fats,
            fat_sectors,
            root_entries,
            clusters,
            media,
            is_fat32,
        })
    }

    /// FAT12 has the fewest clusters: that alone tells.
    fn is_fat12(&self) -> bool {
        !self.is_fat32 && self.clusters < 4085
    }

    fn size_bytes(&self) -> u64 {
        self.sectors * self.sector_bytes
    }

    /// Where the table `number` begins.
    fn fat_at(&self, number: u64) -> u64 {
        (self.reserved_sectors + number * self.fat_sectors) * self.sector_bytes
    }

    /// Where the first cluster, which has number 2, begins.
    fn clusters_at(&self) -> u64 {
        self.fat_at(self.fats) + (self.root_entries * 32).next_multiple_of(self.sector_bytes)
    }
}
