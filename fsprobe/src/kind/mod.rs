//! What a volume holds, by the signatures that its formats keep at fixed places.
//!
//! The places and the plausibility checks are those of `blkid -p`; a signature alone is not believed where its format
//! offers a second field to check.

mod btrfs;
mod emptiness;
mod exfat;
mod ext;
mod fat;
mod lost;
mod raid;
mod signature;
mod swap;
mod tail;
mod unnamed;
mod zfs;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bytes::has;
use crate::read_at::read;
use crate::{Finding, ProbeError, ReadAt, lvm2, ntfs, xfs};

pub(crate) use emptiness::{first_data, looked_at};

pub(crate) use btrfs::missing as missing_of_btrfs;
pub(crate) use exfat::{check as check_exfat, identity as exfat_identity};
pub(crate) use fat::{check as check_fat, identity as fat_identity};
pub(crate) use raid::{identity as raid_identity, missing as missing_of_raid};
pub(crate) use signature::identity as other_identity;
pub(crate) use swap::{check as check_swap, swap_of};

/// What a volume holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// Something of which no more than its signature is known here, by the name that `blkid` has for it: `iso9660`, `qcow2`.
    Other(&'static str),
    /// No signature, and nothing but zeros wherever it was looked at.
    Empty,
    /// None of these.
    Unknown,
}

impl Kind {
    const NAMED: [Self; 15] = [
        Self::Ext2,
        Self::Ext3,
        Self::Ext4,
        Self::ExtJournal,
        Self::Xfs,
        Self::Ntfs,
        Self::Fat,
        Self::Exfat,
        Self::Btrfs,
        Self::Swap,
        Self::Luks,
        Self::Lvm2Pv,
        Self::LinuxRaid,
        Self::Empty,
        Self::Unknown,
    ];

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
            Self::Other(name) => name,
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

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Kind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Kind".into()
    }

    /// Names may be added, as signatures are.
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "What a volume holds." })
    }
}

impl<'de> Deserialize<'de> for Kind {
    /// A name that is not known is a newer version's, and `unknown`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let named = Self::NAMED.into_iter().find(|kind| kind.as_str() == name);
        Ok(named.or_else(|| signature::named(&name).map(Self::Other)).unwrap_or(Self::Unknown))
    }
}

/// The kind of a volume, and what is to be said of it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub kind: Kind,
    /// Why it cannot be told for sure, or how far it was looked at: the volume then is to be copied whole.
    pub finding: Option<Finding>,
}

/// Covers the furthest signature that is looked for in every volume: that of UFS, behind 64 KiB.
const HEAD_BYTES: u64 = 68 << 10;

fn head(volume: &dyn ReadAt) -> Result<Vec<u8>, ProbeError> {
    read(volume, 0, usize::try_from(volume.size_bytes().min(HEAD_BYTES)).unwrap_or(0), "signatures")
}

/// What the bytes could be, the likeliest first.
fn candidates(volume: &dyn ReadAt, head: &[u8]) -> Vec<Kind> {
    let candidates = [
        has_luks(head).then_some(Kind::Luks),
        lvm2::has_label(head).then_some(Kind::Lvm2Pv),
        raid::is_member(volume, head).then_some(Kind::LinuxRaid),
        swap::swap(head).map(|_| Kind::Swap),
        xfs::has_superblock(head).then_some(Kind::Xfs),
        ntfs::has_boot_sector(head).then_some(Kind::Ntfs),
        exfat::has_boot_sector(head).then_some(Kind::Exfat),
        ext::recognise(head),
        fat::is_boot_sector(head).then_some(Kind::Fat),
        btrfs::has_superblock(head).then_some(Kind::Btrfs),
    ];
    candidates.into_iter().flatten().collect()
}

/// What a disk as a whole holds, besides a partition table perhaps. A file format is not looked for: what begins with
/// its signature has no table, or is boot code that happens to.
pub(crate) fn bare(disk: &dyn ReadAt) -> Result<Kind, ProbeError> {
    let head = head(disk)?;
    let other = || signature::find(disk, &head).filter(|found| !found.is_file()).map(|found| Kind::Other(found.name));
    Ok(candidates(disk, &head).first().copied().or_else(other).unwrap_or(Kind::Unknown))
}

/// Recognises what `volume` holds.
pub(crate) fn recognise(volume: &dyn ReadAt) -> Result<Found, ProbeError> {
    let head = head(volume)?;
    let found = candidates(volume, &head);
    let Some(&kind) = found.first() else {
        return if let Some(signature) = signature::find(volume, &head) {
            Ok(Found { kind: Kind::Other(signature.name), finding: None })
        } else if let Some(lost) = lost::find(volume, &head)? {
            Ok(Found { kind: Kind::Unknown, finding: Some(lost) })
        } else {
            emptiness::look(volume)
        };
    };
    let ambiguous = (found.len() > 1).then(|| {
        let names: Vec<_> = found.iter().map(|kind| kind.as_str()).collect();
        let detail =
            format!("it has the signatures of {}; one of them is left over (`wipefs` lists them)", names.join(", "));
        Finding::unknown("several-signatures", "signatures", detail)
    });
    Ok(Found { kind, finding: ambiguous })
}

/// What a format that is known by its signature alone keeps from being judged, and what helps.
pub(crate) fn not_judged(name: &str) -> Finding {
    signature::not_judged(name)
}

/// Whether a first sector that ends in 55 AA is the boot sector of a FAT, exFAT, NTFS or `BitLocker` volume.
pub(crate) fn is_dos_boot_sector(sector: &[u8]) -> bool {
    let bitlocker = has(sector, 3, b"-FVE-FS-");
    bitlocker || ntfs::has_boot_sector(sector) || exfat::has_boot_sector(sector) || fat::is_boot_sector(sector)
}

fn has_luks(head: &[u8]) -> bool {
    has(head, 0, b"LUKS\xba\xbe")
}
