//! Grading: from what the disks prove, and what happened in the window, to the grade. Pure.

use fsprobe::Verdict;

use super::evidence::Evidence;
use super::proof::FreezeProof;
use super::window::{FreezeFacts, LockFacts};
use crate::grade::Grade;

/// A grade, and why it is not a better one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graded {
    /// The grade.
    pub grade: Grade,
    /// A sentence for each thing that kept it from the next better grade.
    pub reasons: Vec<String>,
}

/// Grades an image from what the disks prove and what happened in the window.
#[must_use]
pub fn grade(disks: &[Evidence<'_>], freeze: &FreezeFacts, lock: &LockFacts) -> Graded {
    let damaged: Vec<String> = disks
        .iter()
        .filter(|disk| disk.report.verdict == Verdict::Damaged)
        .map(|disk| format!("{}: {}", disk.origin, disk.worst_finding()))
        .collect();
    if !damaged.is_empty() {
        return Graded { grade: Grade::Damaged, reasons: damaged };
    }
    let mut reasons = freeze_doubts(freeze);
    let mut proven = 0_usize;
    for disk in disks {
        for (path, proof) in disk.freeze_proofs() {
            match proof {
                FreezeProof::Proven => proven += 1,
                FreezeProof::Refuted(why) | FreezeProof::Unprovable(why) => {
                    reasons.push(format!("{} volume {path}: {why}", disk.origin));
                }
            }
        }
    }
    if proven == 0 && reasons.is_empty() {
        reasons.push("no filesystem on these disks can prove a freeze".to_owned());
    }
    if !reasons.is_empty() {
        return Graded { grade: Grade::Crash, reasons };
    }
    if let FreezeFacts::Counted { frozen, .. } = *freeze
        && proven < frozen as usize
    {
        let missing = format!(
            "the guest froze {frozen} filesystems and these disks hold {proven}: is a disk missing from the job? The \
             database's files may lie on it"
        );
        return Graded { grade: Grade::Filesystem, reasons: vec![missing] };
    }
    match lock {
        LockFacts::HeldThrough => Graded { grade: Grade::Application, reasons },
        LockFacts::EngineLogsNotFlushed { reason } => Graded {
            grade: Grade::Filesystem,
            reasons: vec![format!(
                "engine-logs-not-flushed: transactions that were acknowledged may be missing. {reason}"
            )],
        },
        LockFacts::NotAsked => {
            Graded { grade: Grade::Filesystem, reasons: vec!["no database was locked: none is configured".to_owned()] }
        }
        LockFacts::Lost { reason } => Graded {
            grade: Grade::Filesystem,
            reasons: vec![format!("the database lock was lost inside the window: {reason}")],
        },
    }
}

fn freeze_doubts(freeze: &FreezeFacts) -> Vec<String> {
    match *freeze {
        FreezeFacts::NotAsked => vec!["the guest was not frozen: no freeze was asked for".to_owned()],
        FreezeFacts::Counted { frozen: 0, .. } => {
            vec!["the agent reported a freeze of 0 filesystems".to_owned()]
        }
        FreezeFacts::Counted { thawed: None, .. } => {
            vec!["how many filesystems were still frozen at the thaw is not known: its reply was lost".to_owned()]
        }
        FreezeFacts::Counted { frozen, thawed: Some(thawed) } if thawed < frozen => vec![format!(
            "the agent froze {frozen} filesystems, and only {thawed} were still frozen at the thaw: something else thawed early"
        )],
        FreezeFacts::Counted { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use fsprobe::{Ext4Summary, Finding, Kind, Report, Table, VolumeReport};

    use super::*;

    /// The grade of one disk, `vg/db`.
    fn grade(report: &Report, freeze: &FreezeFacts, lock: &LockFacts) -> Graded {
        let origin = "vg/db".parse().unwrap();
        super::grade(&[Evidence { origin: &origin, report }], freeze, lock)
    }

    const FROZEN: FreezeFacts = FreezeFacts::Counted { frozen: 1, thawed: Some(1) };

    fn ext4(path: &str, needs_recovery: bool, journal_start: u32, verdict: Verdict) -> VolumeReport {
        VolumeReport {
            path: path.to_owned(),
            offset_bytes: Some(1 << 20),
            size_bytes: 1 << 30,
            kind: Kind::Ext4,
            partition_type: None,
            partition_name: None,
            partition_uuid: None,
            label: None,
            uuid: None,
            pieces: Vec::new(),
            verdict,
            findings: Vec::new(),
            ext4: Some(Ext4Summary { needs_recovery, journal_start, ..Ext4Summary::default() }),
        }
    }

    fn clean() -> VolumeReport {
        ext4("1", false, 0, Verdict::Consistent)
    }

    fn disk(volumes: Vec<VolumeReport>) -> Report {
        let verdict = volumes.iter().map(|volume| volume.verdict).max().unwrap_or_default();
        Report {
            target: String::new(),
            size_bytes: 2 << 30,
            sector_size_bytes: 512,
            table: Table::Gpt,
            table_uuid: None,
            verdict,
            findings: Vec::new(),
            volumes,
        }
    }

    #[test]
    fn proven_and_locked_through_is_application() {
        let graded = grade(&disk(vec![clean()]), &FROZEN, &LockFacts::HeldThrough);
        assert_eq!(graded, Graded { grade: Grade::Application, reasons: vec![] });
    }

    #[test]
    fn proven_without_a_database_is_filesystem() {
        assert_eq!(grade(&disk(vec![clean()]), &FROZEN, &LockFacts::NotAsked).grade, Grade::Filesystem);
    }

    #[test]
    fn a_lock_that_ran_out_in_the_window_leaves_filesystem_and_says_so() {
        let graded = grade(&disk(vec![clean()]), &FROZEN, &LockFacts::Lost { reason: "session gone".into() });
        assert_eq!(graded.grade, Grade::Filesystem);
        assert!(graded.reasons[0].contains("session gone"));
    }

    #[test]
    fn a_lock_under_which_the_engine_logs_were_not_flushed_is_never_application() {
        let reason = "MariaDB 10.11.19 with innodb_flush_log_at_trx_commit = 0: refused".to_owned();
        let graded = grade(&disk(vec![clean()]), &FROZEN, &LockFacts::EngineLogsNotFlushed { reason: reason.clone() });
        assert_eq!(graded.grade, Grade::Filesystem);
        assert!(graded.reasons[0].starts_with("engine-logs-not-flushed: "), "{:?}", graded.reasons);
        assert!(graded.reasons[0].contains(&reason), "{:?}", graded.reasons);
    }

    #[test]
    fn a_freeze_that_succeeded_and_froze_nothing_is_crash() {
        let live = ext4("1", true, 1, Verdict::Replay);
        let graded = grade(&disk(vec![live]), &FROZEN, &LockFacts::HeldThrough);
        assert_eq!(graded.grade, Grade::Crash);
        assert!(graded.reasons[0].contains("not frozen at the snapshot"), "{:?}", graded.reasons);
    }

    #[test]
    fn an_empty_journal_that_still_asks_for_recovery_is_no_proof() {
        let idle = ext4("1", true, 0, Verdict::Replay);
        assert_eq!(grade(&disk(vec![idle]), &FROZEN, &LockFacts::HeldThrough).grade, Grade::Crash);
    }

    #[test]
    fn one_filesystem_that_was_not_frozen_weakens_all() {
        let mixed = disk(vec![clean(), ext4("2", true, 7, Verdict::Replay)]);
        assert_eq!(grade(&mixed, &FROZEN, &LockFacts::HeldThrough).grade, Grade::Crash);
    }

    #[test]
    fn a_thaw_that_came_early_is_crash_whatever_the_disk_shows() {
        let early = FreezeFacts::Counted { frozen: 2, thawed: Some(0) };
        assert_eq!(grade(&disk(vec![clean()]), &early, &LockFacts::HeldThrough).grade, Grade::Crash);
    }

    #[test]
    fn a_freeze_of_nothing_or_none_at_all_is_crash() {
        let nothing = FreezeFacts::Counted { frozen: 0, thawed: Some(0) };
        assert_eq!(grade(&disk(vec![clean()]), &nothing, &LockFacts::HeldThrough).grade, Grade::Crash);
        assert_eq!(grade(&disk(vec![clean()]), &FreezeFacts::NotAsked, &LockFacts::HeldThrough).grade, Grade::Crash);
    }

    #[test]
    fn a_filesystem_that_was_frozen_and_is_not_in_the_backup_keeps_it_from_application() {
        let three = FreezeFacts::Counted { frozen: 3, thawed: Some(3) };
        let graded = grade(&disk(vec![clean()]), &three, &LockFacts::HeldThrough);
        assert_eq!(graded.grade, Grade::Filesystem);
        assert!(graded.reasons[0].contains("is a disk missing"), "{:?}", graded.reasons);
    }

    #[test]
    fn damage_outweighs_everything_and_names_the_finding() {
        let mut broken = ext4("1", false, 0, Verdict::Damaged);
        broken.findings.push(Finding::damage("ext4-superblock-csum", "superblock at byte 1024", "checksum is wrong"));
        let graded = grade(&disk(vec![broken]), &FROZEN, &LockFacts::HeldThrough);
        assert_eq!(graded.grade, Grade::Damaged);
        assert!(graded.reasons[0].contains("checksum is wrong"), "{:?}", graded.reasons);
    }

    #[test]
    fn a_volume_of_unknown_or_unjudged_content_beside_a_frozen_one_is_crash() {
        for kind in [Kind::Unknown, Kind::Btrfs, Kind::LinuxRaid] {
            let beside = VolumeReport { path: "2".into(), kind, ext4: None, verdict: Verdict::Unknown, ..clean() };
            let graded = grade(&disk(vec![clean(), beside]), &FROZEN, &LockFacts::HeldThrough);
            assert_eq!(graded.grade, Grade::Crash, "{kind}");
        }
    }

    #[test]
    fn a_boot_loaders_partition_weakens_nothing() {
        let bios_boot = Some("21686148-6449-6E6F-744E-656564454649".to_owned());
        let boot = VolumeReport { kind: Kind::Unknown, ext4: None, partition_type: bios_boot, ..clean() };
        assert_eq!(grade(&disk(vec![boot, clean()]), &FROZEN, &LockFacts::HeldThrough).grade, Grade::Application);
    }

    #[test]
    fn a_disk_on_which_nothing_can_prove_a_freeze_is_crash() {
        let swap = VolumeReport { kind: Kind::Swap, ext4: None, ..clean() };
        let graded = grade(&disk(vec![swap]), &FROZEN, &LockFacts::HeldThrough);
        assert_eq!(graded.grade, Grade::Crash);
        assert!(graded.reasons[0].contains("no filesystem"), "{:?}", graded.reasons);
    }
}
