//! Filesystems whose first sectors are gone, by what they keep further in: for a person who wonders where theirs is.

use super::fat;
use crate::bytes::{be32, has, le16};
use crate::read_at::read;
use crate::{Finding, ProbeError, ReadAt, ext4, ntfs};

/// What is left of a filesystem in a volume without any signature.
pub(super) fn find(volume: &dyn ReadAt, head: &[u8]) -> Result<Option<Finding>, ProbeError> {
    Ok(match ext(volume)? {
        Some(lost) => Some(lost),
        None => xfs(head).or_else(|| luks(head)).or_else(|| fat(head)).or_else(|| ntfs(volume)),
    })
}

/// A copy of the superblock.
fn ext(volume: &dyn ReadAt) -> Result<Option<Finding>, ProbeError> {
    let detail = |(offset_bytes, backup): (u64, ext4::Superblock)| {
        format!(
            "no superblock is at its place, but a copy of an ext2, ext3 or ext4 one is at byte {offset_bytes}, of a \
             filesystem of {} bytes: either it was given up (`wipefs`), or its start was overwritten (`e2fsck -b` on a copy \
             restores it)",
            backup.size_bytes()
        )
    };
    let backup = ext4::find_backup(volume)?;
    Ok(backup.map(|backup| Finding::unknown("ext-superblock-lost", "signatures", detail(backup))))
}

/// The header of the first allocation group, one sector behind the superblock.
fn xfs(head: &[u8]) -> Option<Finding> {
    let sectors = [512, 1024, 2048, 4096_usize];
    let agf =
        sectors.into_iter().find(|at| has(head, *at, b"XAGF") && be32(head, at + 4) == 1 && be32(head, at + 8) == 0);
    let at = agf?;
    let detail = format!(
        "no superblock is at its place, but a structure of XFS is at byte {at}: its start was overwritten (`xfs_repair` on a \
         copy looks for another superblock)"
    );
    Some(Finding::unknown("xfs-superblock-lost", "signatures", detail))
}

/// The second header of LUKS2, which lies behind the first at one of a few places.
fn luks(head: &[u8]) -> Option<Finding> {
    let at = [0x4000, 0x8000, 0x1_0000_usize].into_iter().find(|at| has(head, *at, b"SKUL\xba\xbe"))?;
    let detail = format!(
        "no LUKS header is at its place, but the second one of LUKS2 is at byte {at}: its start was overwritten \
         (`cryptsetup repair` on a copy)"
    );
    Some(Finding::unknown("luks-header-lost", "signatures", detail))
}

/// FAT32 keeps a copy of its boot sector in sector 6.
fn fat(head: &[u8]) -> Option<Finding> {
    let copy =
        head.get(6 * 512..7 * 512).filter(|sector| fat::is_boot_sector(sector) && le16(sector, 510) == 0xaa55)?;
    let is_fat32 = le16(copy, 22) == 0;
    let detail = "no boot sector is at its place, but a copy of one of FAT32 is in sector 6: its start was overwritten";
    is_fat32.then(|| Finding::unknown("fat-boot-sector-lost", "signatures", detail))
}

/// NTFS keeps a copy of its boot sector in the last sector of its partition.
fn ntfs(volume: &dyn ReadAt) -> Option<Finding> {
    let at = (volume.size_bytes() / 512).checked_sub(1)? * 512;
    let copy = read(volume, at, 512, "").ok()?;
    let detail =
        format!("no boot sector is at its place, but a copy of one of NTFS is at byte {at}: its start was overwritten");
    ntfs::has_boot_sector(&copy).then(|| Finding::unknown("ntfs-boot-sector-lost", "signatures", detail))
}
