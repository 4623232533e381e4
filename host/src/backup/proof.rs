//! What the bytes of a filesystem prove of a freeze. Pure.

use fsprobe::{Finding, Kind, Verdict, VolumeReport, is_boot_code};

/// Whether a filesystem shows on disk that it was frozen when the snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FreezeProof {
    /// Its log is empty and it asks for no recovery.
    Proven,
    /// It was being written to.
    Refuted(String),
    /// It has no log that could show it, or one that is not understood.
    Unprovable(String),
}

fn is_covered_log(finding: &Finding) -> bool {
    finding.code == "xfs-log-covered"
}

/// Whether a filesystem may be in it of which the bytes, as far as they are understood here, cannot prove a freeze.
#[must_use]
pub fn keeps_no_proof(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Ext2 | Kind::Ntfs | Kind::Luks | Kind::Btrfs | Kind::LinuxRaid | Kind::Other(_) | Kind::Unknown
    )
}

/// What `volume` shows; `None` for what holds no filesystem: swap, an empty partition.
#[must_use]
pub fn freeze_proof(volume: &VolumeReport) -> Option<FreezeProof> {
    match volume.kind {
        Kind::Ext3 | Kind::Ext4 => Some(match &volume.ext4 {
            // INCOMPAT_RECOVER clear and an empty journal: only a freeze or an unmount leaves both behind.
            Some(ext4) if !ext4.needs_recovery && ext4.journal_start == 0 => FreezeProof::Proven,
            Some(ext4) => FreezeProof::Refuted(format!(
                "not frozen at the snapshot: needs_recovery {}, journal s_start {}, {} transactions to replay",
                ext4.needs_recovery, ext4.journal_start, ext4.replay_transactions
            )),
            None => FreezeProof::Unprovable("its superblock or journal cannot be read".to_owned()),
        }),
        // A freeze of XFS leaves a log in which only the superblock would be replayed (`xfs_log_quiesce`).
        Kind::Xfs if volume.verdict == Verdict::Consistent || volume.findings.iter().any(is_covered_log) => {
            Some(FreezeProof::Proven)
        }
        Kind::Xfs => Some(FreezeProof::Refuted("its log needs a replay, or cannot be judged".to_owned())),
        Kind::Unknown if volume.partition_type.as_deref().is_some_and(is_boot_code) => None,
        kind if keeps_no_proof(kind) => {
            Some(FreezeProof::Unprovable(format!("it is {kind}: nothing in its bytes would prove a freeze")))
        }
        // FAT (the EFI system partition) has no freeze in Linux: it is never among those that were to freeze. The volumes
        // in a physical volume are listed beside it, those that cannot be read as unknown.
        _ => None,
    }
}
