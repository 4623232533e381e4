//! Whether a filesystem can be written to at this moment, by a few bytes of it: for who looks at a disk that is in use.

use crate::ext4::{PRIMARY_OFFSET_BYTES, SUPERBLOCK_BYTES, Superblock};
use crate::read_at::read;
use crate::{Kind, ProbeError, ReadAt, Volume};

/// What a volume shows of itself while somebody may have it mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It is mounted for writing and not frozen, or was never unmounted: ext3 and ext4 set `INCOMPAT_RECOVER` when they are mounted and
    /// when they are thawed, before anybody may write to them.
    Live,
    /// It is frozen, unmounted or mounted read-only: the flag is cleared by each of these alone.
    Still,
    /// Nothing of it tells, and why.
    Untold(&'static str),
}

impl Volume {
    /// Looks at the volume on `disk`, which is where its layout was read from, or the same disk later. One read of 1 KiB.
    ///
    /// # Errors
    /// Where that cannot be read.
    pub fn liveness(&self, disk: &dyn ReadAt) -> Result<Liveness, ProbeError> {
        match self.kind {
            Kind::Ext3 | Kind::Ext4 => of_ext(&self.open(disk)),
            Kind::Ext2 => Ok(Liveness::Untold(NO_JOURNAL)),
            Kind::Xfs => Ok(Liveness::Untold("an XFS that has nothing to write looks the same, frozen or not")),
            _ => Ok(Liveness::Untold("its format does not say whether it is frozen, or is not known here")),
        }
    }
}

const NO_JOURNAL: &str = "without a journal, frozen and live are the same bytes";

fn of_ext(volume: &dyn ReadAt) -> Result<Liveness, ProbeError> {
    let raw = read(volume, PRIMARY_OFFSET_BYTES, SUPERBLOCK_BYTES, "ext4 superblock")?;
    let raw = raw.try_into().unwrap_or([0; SUPERBLOCK_BYTES]);
    Ok(match Superblock::parse(&raw, "superblock") {
        Err(_) => Liveness::Untold("its superblock cannot be understood"),
        Ok(superblock) if !superblock.has_journal() => Liveness::Untold(NO_JOURNAL),
        Ok(superblock) if superblock.needs_recovery() => Liveness::Live,
        Ok(_) => Liveness::Still,
    })
}
