//! What a volume holds, by the signatures that its formats keep at fixed places.
//!
//! The places and the plausibility checks are those of `blkid -p`; a signature alone is not believed where its format
//! offers a second field to check.

mod ext;
mod fat;
mod raid;
mod swap;

use serde::{Deserialize, Serialize};

use crate::bytes::{has, le64, u8_at};
use crate::read_at::read;
use crate::{Finding, ProbeError, ReadAt, ext4, lvm2, ntfs, xfs};

pub(crate) use fat::state as fat_state;
pub(crate) use swap::swap_of;

/// What a volume holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// ext2: no journal.
    Ext2,
    /// ext3: a journal, and no feature of ext4.
    Ext3,
    /// ext4.
    Ext4,
    /// The journal of an ext3 or ext4 on another device.
    ExtJournal,
    /// XFS.
    Xfs,
    /// NTFS.
    Ntfs,
    /// FAT12, FAT16 or FAT32.
    Fat,
    /// exFAT.
    Exfat,
    /// Btrfs.
    Btrfs,
    /// Linux swap, or a hibernation image in it.
    Swap,
    /// LUKS 1 or 2.
    Luks,
    /// LVM2 physical volume.
    Lvm2Pv,
    /// Member of a Linux software RAID.
    LinuxRaid,
    /// No signature, and nothing but zeros in the first mebibyte.
    Empty,
    /// None of these.
    #[serde(other)]
    Unknown,
}

impl Kind {
    /// The name in reports, as `ext4` or `lvm2-pv`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::ExtJournal => "ext-journal",
            Self::Xfs => "xfs",
            Self::Ntfs => "ntfs",
            Self::Fat => "fat",
            Self::Exfat => "exfat",
            Self::Btrfs => "btrfs",
            Self::Swap => "swap",
            Self::Luks => "luks",
            Self::Lvm2Pv => "lvm2-pv",
            Self::LinuxRaid => "linux-raid",
            Self::Empty => "empty",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a signature was found.
    #[must_use]
    pub fn is_recognised(self) -> bool {
        !matches!(self, Self::Empty | Self::Unknown)
    }

    /// Whether it is ext2, ext3 or ext4.
    #[must_use]
    pub fn is_ext(self) -> bool {
        matches!(self, Self::Ext2 | Self::Ext3 | Self::Ext4)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kind of a volume, and what else it could be.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub kind: Kind,
    /// Set where the bytes of several formats are there; the volume then is to be treated as if nothing were known.
    pub ambiguous: Option<Finding>,
}

/// Covers the furthest signature: that of Btrfs, at 64 KiB.
const HEAD_BYTES: u64 = 68 << 10;
const EMPTY_BYTES: u64 = 1 << 20;

/// Recognises what `volume` holds.
pub(crate) fn recognise(volume: &dyn ReadAt) -> Result<Found, ProbeError> {
    let size = volume.size_bytes();
    let head = read(volume, 0, usize::try_from(size.min(HEAD_BYTES)).unwrap_or(0), "signatures")?;
    let candidates = [
        has_luks(&head).then_some(Kind::Luks),
        lvm2::has_label(&head).then_some(Kind::Lvm2Pv),
        raid::is_member(volume, &head).then_some(Kind::LinuxRaid),
        swap::swap(&head).map(|_| Kind::Swap),
        xfs::has_superblock(&head).then_some(Kind::Xfs),
        ntfs::has_boot_sector(&head).then_some(Kind::Ntfs),
        has_exfat(&head).then_some(Kind::Exfat),
        ext::recognise(&head),
        fat::is_boot_sector(&head).then_some(Kind::Fat),
        has(&head, 0x1_0040, b"_BHRfS_M").then_some(Kind::Btrfs),
    ];
    let found: Vec<Kind> = candidates.into_iter().flatten().collect();
    let Some(&kind) = found.first() else {
        if let Some((offset_bytes, backup)) = ext4::find_backup(volume)? {
            let detail = format!(
                "no superblock is at its place, but a copy of an ext2, ext3 or ext4 one is at byte {offset_bytes}, of a \
                 filesystem of {} bytes: either it was given up (`wipefs`), or its start was overwritten \
                 (`e2fsck -b` on a copy restores it)",
                backup.size_bytes()
            );
            let ambiguous = Some(Finding::unknown("ext-superblock-lost", "signatures", detail));
            return Ok(Found { kind: Kind::Unknown, ambiguous });
        }
        let kind = if is_zero(volume, &head)? { Kind::Empty } else { Kind::Unknown };
        return Ok(Found { kind, ambiguous: None });
    };
    let ambiguous = (found.len() > 1).then(|| {
        let names: Vec<_> = found.iter().map(|kind| kind.as_str()).collect();
        let detail =
            format!("it has the signatures of {}; one of them is left over (`wipefs` lists them)", names.join(", "));
        Finding::unknown("several-signatures", "signatures", detail)
    });
    Ok(Found { kind, ambiguous })
}

/// Whether a first sector that ends in 55 AA is the boot sector of a FAT, exFAT, NTFS or `BitLocker` volume.
pub(crate) fn is_dos_boot_sector(sector: &[u8]) -> bool {
    let bitlocker = has(sector, 3, b"-FVE-FS-");
    bitlocker || ntfs::has_boot_sector(sector) || has_exfat(sector) || fat::is_boot_sector(sector)
}

fn has_luks(head: &[u8]) -> bool {
    has(head, 0, b"LUKS\xba\xbe")
}

/// exFAT specification, section 3.1: `MustBeZero` is where FAT has its parameters.
fn has_exfat(head: &[u8]) -> bool {
    let zeros = head.get(11..64).is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0));
    has(head, 3, b"EXFAT   ") && zeros && (9..=12).contains(&u8_at(head, 108)) && le64(head, 72) != 0
}

fn is_zero(volume: &dyn ReadAt, head: &[u8]) -> Result<bool, ProbeError> {
    if head.iter().any(|&byte| byte != 0) {
        return Ok(false);
    }
    let length = usize::try_from(volume.size_bytes().min(EMPTY_BYTES)).unwrap_or(0);
    Ok(read(volume, 0, length, "first mebibyte")?.iter().all(|&byte| byte == 0))
}
