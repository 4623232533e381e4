//! What the bytes of a filesystem prove of a freeze. Pure.

use std::time::Duration;

use fsprobe::{Finding, Kind, Verdict, VolumeReport, is_boot_code};

/// Whether a filesystem shows on disk that it was frozen when the snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FreezeProof {
    /// It was.
    Proven,
    /// It was being written to.
    Refuted(String),
    /// Nothing in its bytes could show it, or nothing that is understood.
    Unprovable(String),
}

/// Which filesystem of the guest a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// One whose marker is whole in the snapshot.
    Marked {
        /// From the writing of the marker to the freeze.
        age: Duration,
        /// How long at least nothing but a freeze writes out what was written last.
        stays: Duration,
    },
    /// None that could have been written to: all of those were found on other volumes.
    NotMounted,
    /// Nobody knows.
    Unknown,
}

fn is_covered_log(finding: &Finding) -> bool {
    finding.code == "xfs-log-covered"
}

/// Whether a filesystem may be in it of which the bytes, as far as they are understood here, cannot prove a freeze.
#[must_use]
pub fn keeps_no_proof(kind: Kind) -> bool {
    matches!(kind, Kind::Ntfs | Kind::Luks | Kind::Btrfs | Kind::LinuxRaid | Kind::Other(_) | Kind::Unknown)
}

/// What `volume` shows; `None` for what holds no filesystem that could have been written to: swap, an empty partition, what is
/// not mounted.
#[must_use]
pub fn freeze_proof(volume: &VolumeReport, standing: Standing) -> Option<FreezeProof> {
    let is_journaled = |features: &[String]| features.iter().any(|feature| feature == "has_journal");
    match (volume.kind, &volume.ext4) {
        (Kind::Ext3 | Kind::Ext4, None) => {
            Some(FreezeProof::Unprovable("its superblock or journal cannot be read".to_owned()))
        }
        (Kind::Ext3 | Kind::Ext4, Some(ext4)) if is_journaled(&ext4.features) => Some(
            // INCOMPAT_RECOVER clear and an empty journal: only a freeze or an unmount leaves both behind.
            if !ext4.needs_recovery && ext4.journal_start == 0 {
                FreezeProof::Proven
            } else {
                FreezeProof::Refuted(format!(
                    "not frozen at the snapshot: needs_recovery {}, journal s_start {}, {} transactions to replay",
                    ext4.needs_recovery, ext4.journal_start, ext4.replay_transactions
                ))
            },
        ),
        (Kind::Ext2 | Kind::Ext3 | Kind::Ext4, _) => {
            by_marker(standing, "it has no journal, and frozen and live are the same bytes")
        }
        // A freeze of XFS leaves a log in which only the superblock would be replayed (`xfs_log_quiesce`). So does a minute of
        // rest.
        (Kind::Xfs, _) if volume.verdict == Verdict::Consistent || volume.findings.iter().any(is_covered_log) => {
            by_marker(standing, "an XFS that was idle looks the same as a frozen one")
        }
        (Kind::Xfs, _) => Some(FreezeProof::Refuted("its log needs a replay, or cannot be judged".to_owned())),
        (Kind::Unknown, _) if volume.partition_type.as_deref().is_some_and(is_boot_code) => None,
        // Its logical volumes are listed beside it, but where its group cannot be read nobody knows of any.
        (Kind::Lvm2Pv, _) if volume.verdict == Verdict::Unknown => (standing != Standing::NotMounted).then(|| {
            FreezeProof::Unprovable(
                "it is a physical volume of LVM, and which logical volumes lie on it is not known".into(),
            )
        }),
        (kind, _) if keeps_no_proof(kind) => (standing != Standing::NotMounted)
            .then(|| FreezeProof::Unprovable(format!("it is {kind}: nothing in its bytes would prove a freeze"))),
        // FAT (the EFI system partition) has no freeze in Linux: it is never among those that were to freeze. The volumes
        // in a physical volume are listed beside it, those that cannot be read as unknown.
        _ => None,
    }
}

/// For what does not tell by itself: a marker that was in memory only, and is in the snapshot whole, was written out by the freeze.
fn by_marker(standing: Standing, otherwise: &str) -> Option<FreezeProof> {
    match standing {
        Standing::Marked { age, stays } if age < stays => Some(FreezeProof::Proven),
        Standing::Marked { age, .. } => Some(FreezeProof::Unprovable(format!(
            "{otherwise}; its marker was written {} s before the freeze, and may have been written out without one",
            age.as_secs()
        ))),
        Standing::NotMounted => None,
        Standing::Unknown => Some(FreezeProof::Unprovable(otherwise.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use fsprobe::Ext4Summary;

    use super::*;

    const STAYS: Duration = Duration::from_secs(29);
    const FRESH: Standing = Standing::Marked { age: Duration::from_secs(2), stays: STAYS };
    const STALE: Standing = Standing::Marked { age: STAYS, stays: STAYS };

    fn volume(kind: Kind, verdict: Verdict) -> VolumeReport {
        VolumeReport {
            path: "1".to_owned(),
            offset_bytes: Some(1 << 20),
            size_bytes: 1 << 30,
            kind,
            partition_type: None,
            partition_name: None,
            partition_uuid: None,
            label: None,
            uuid: None,
            pieces: Vec::new(),
            verdict,
            findings: Vec::new(),
            ext4: None,
        }
    }

    fn ext(kind: Kind, features: &[&str]) -> VolumeReport {
        let features = features.iter().map(ToString::to_string).collect();
        VolumeReport {
            ext4: Some(Ext4Summary { features, ..Ext4Summary::default() }),
            ..volume(kind, Verdict::Consistent)
        }
    }

    fn is_unprovable(proof: Option<FreezeProof>) -> bool {
        matches!(proof, Some(FreezeProof::Unprovable(_)))
    }

    #[test]
    fn an_empty_journal_without_recovery_is_proof_whoever_it_is() {
        for standing in [FRESH, STALE, Standing::NotMounted, Standing::Unknown] {
            assert_eq!(freeze_proof(&ext(Kind::Ext4, &["has_journal"]), standing), Some(FreezeProof::Proven));
        }
    }

    #[test]
    fn an_ext_without_a_journal_is_proven_by_a_fresh_marker_only() {
        for volume in [ext(Kind::Ext2, &[]), ext(Kind::Ext4, &["extent"])] {
            assert_eq!(freeze_proof(&volume, FRESH), Some(FreezeProof::Proven));
            assert!(is_unprovable(freeze_proof(&volume, STALE)));
            assert!(is_unprovable(freeze_proof(&volume, Standing::Unknown)));
            assert_eq!(freeze_proof(&volume, Standing::NotMounted), None);
        }
    }

    #[test]
    fn an_xfs_with_a_covered_log_is_proven_by_a_fresh_marker_only() {
        let mut covered = volume(Kind::Xfs, Verdict::Replay);
        covered.findings.push(Finding::note("xfs-log-covered", "log", "only the superblock"));
        for volume in [volume(Kind::Xfs, Verdict::Consistent), covered] {
            assert_eq!(freeze_proof(&volume, FRESH), Some(FreezeProof::Proven));
            assert!(is_unprovable(freeze_proof(&volume, STALE)));
            assert!(is_unprovable(freeze_proof(&volume, Standing::Unknown)));
        }
    }

    #[test]
    fn no_marker_makes_up_for_a_log_that_has_to_be_replayed() {
        let mut live = ext(Kind::Ext4, &["has_journal"]);
        live.ext4.as_mut().unwrap().needs_recovery = true;
        for volume in [live, volume(Kind::Xfs, Verdict::Replay)] {
            for standing in [FRESH, Standing::NotMounted] {
                assert!(matches!(freeze_proof(&volume, standing), Some(FreezeProof::Refuted(_))));
            }
        }
    }

    #[test]
    fn a_physical_volume_proves_nothing_where_nobody_knows_what_lies_on_it() {
        let unknown = volume(Kind::Lvm2Pv, Verdict::Unknown);
        assert!(is_unprovable(freeze_proof(&unknown, Standing::Unknown)));
        assert_eq!(freeze_proof(&unknown, Standing::NotMounted), None);
        assert_eq!(freeze_proof(&volume(Kind::Lvm2Pv, Verdict::Consistent), Standing::Unknown), None);
    }

    #[test]
    fn what_nobody_understands_proves_nothing_unless_it_is_not_mounted() {
        for kind in [Kind::Unknown, Kind::Btrfs, Kind::LinuxRaid, Kind::Luks] {
            assert!(is_unprovable(freeze_proof(&volume(kind, Verdict::Unknown), Standing::Unknown)), "{kind}");
            assert_eq!(freeze_proof(&volume(kind, Verdict::Unknown), Standing::NotMounted), None, "{kind}");
        }
    }
}
