//! The check: a layout, and the state of every filesystem in it.

use crate::layout::{Disk, layout};
use crate::report::{Depth, Ext4Summary, Report, VolumeReport};
use crate::{Finding, Findings, Kind, ProbeError, ReadAt, Verdict, Volume, ext4, is_boot_code, kind, ntfs, xfs};

/// Reads the layout of `disk` and judges every volume on it.
///
/// # Errors
/// Those of [`layout`]. A volume that cannot be read, or not to the end, is reported as damaged, with the place and
/// what was seen before it.
pub fn check(disk: &dyn ReadAt, depth: Depth) -> Result<Report, ProbeError> {
    Ok(layout(disk)?.check(disk, depth))
}

impl Disk {
    /// Judges every volume of `disk`, whose layout this is.
    #[must_use]
    pub fn check(&self, disk: &dyn ReadAt, depth: Depth) -> Report {
        let judged: Vec<Judged> = self.volumes.iter().map(|volume| judge(disk, volume, depth)).collect();
        let of_findings = self.findings.iter().map(|finding| finding.severity.verdict());
        let of_volumes = judged.iter().map(|judged| judged.weight);
        Report {
            target: String::new(),
            size_bytes: self.size_bytes,
            sector_size_bytes: self.sector_size_bytes,
            table: self.table,
            table_uuid: self.table_uuid.clone(),
            verdict: of_findings.chain(of_volumes).max().unwrap_or_default(),
            findings: self.findings.clone(),
            volumes: judged.into_iter().map(|judged| judged.report).collect(),
        }
    }
}

struct Judged {
    report: VolumeReport,
    /// What it does to the verdict of the disk.
    weight: Verdict,
}

fn judge(disk: &dyn ReadAt, volume: &Volume, depth: Depth) -> Judged {
    let mut findings = Findings::default();
    findings.extend(volume.findings.iter().cloned());
    let mut summary = None;
    if volume.is_whole()
        && let Err(error) = judge_content(disk, volume, depth, &mut findings, &mut summary)
    {
        findings.push(error.finding());
    }
    if volume.kind == Kind::Unknown {
        findings.extend(unrecognised(volume, findings.verdict()));
    }
    let weight = findings.verdict();
    // What nobody recognised is not sound; only that of a boot loader does not weaken the verdict of the disk.
    let verdict = if volume.kind == Kind::Unknown { weight.max(Verdict::Unknown) } else { weight };
    let report = VolumeReport {
        path: volume.path.clone(),
        offset_bytes: volume.offset_bytes(),
        size_bytes: volume.size_bytes(),
        kind: volume.kind,
        partition_type: volume.partition_type.clone(),
        partition_name: volume.name.clone(),
        partition_uuid: volume.partition_uuid.clone(),
        label: volume.label.clone(),
        uuid: volume.uuid.clone(),
        pieces: volume.pieces(),
        verdict,
        findings: findings.into_vec(),
        ext4: summary,
    };
    Judged { report, weight }
}

/// What of a kind is judged, where the deep check looks no further than the other one.
fn not_deep(kind: Kind) -> Option<Finding> {
    let judged = match kind {
        Kind::Xfs => "superblocks, group headers and log",
        Kind::Ntfs => "boot sectors, the first records, the log's state and a hibernation file",
        Kind::Fat => "boot sector and tables",
        Kind::Exfat => "boot region and mark of use",
        _ => return None,
    };
    let detail = format!("of {kind}, only {judged} are judged, with --deep as without");
    Some(Finding::note("deep-not-supported", "content", detail))
}

/// Says that nothing was recognised in `volume`, where no finding has said why it cannot be judged.
fn unrecognised(volume: &Volume, verdict: Verdict) -> Option<Finding> {
    if volume.partition_type.as_deref().is_some_and(is_boot_code) {
        let detail = "its partition is a boot loader's: nothing in it has to be recognised, and it is not judged";
        return Some(Finding::note("boot-code", "signatures", detail));
    }
    let detail = "nothing in it is recognised, so that nothing tells whether it is sound";
    (verdict == Verdict::Consistent).then(|| Finding::unknown("not-recognised", "signatures", detail))
}

fn judge_content(
    disk: &dyn ReadAt,
    volume: &Volume,
    depth: Depth,
    findings: &mut Findings,
    summary: &mut Option<Ext4Summary>,
) -> Result<(), ProbeError> {
    let content = volume.open(disk);
    if depth == Depth::Deep {
        findings.extend(not_deep(volume.kind));
    }
    match volume.kind {
        Kind::Ext2 | Kind::Ext3 | Kind::Ext4 => {
            let check = ext4::check(&content, depth);
            findings.extend(check.findings);
            *summary = check.ext4;
        }
        Kind::ExtJournal => findings.extend(ext4::check_journal_device(&content)?.into_vec()),
        Kind::Xfs => xfs::check(&content, findings)?,
        Kind::Ntfs => ntfs::check(&content, findings)?,
        Kind::Fat => kind::check_fat(&content, depth, findings)?,
        Kind::Exfat => kind::check_exfat(&content, findings)?,
        Kind::Swap => kind::check_swap(&content, findings)?,
        Kind::Luks | Kind::Btrfs | Kind::LinuxRaid => {
            let detail = format!("what a {} volume holds is not judged", volume.kind);
            findings.push(Finding::unknown("not-judged", "content", detail));
            findings.extend(match volume.kind {
                Kind::Btrfs => kind::missing_of_btrfs(&content)?,
                Kind::LinuxRaid => kind::missing_of_raid(&content)?,
                _ => None,
            });
        }
        Kind::Other(name) => findings.push(kind::not_judged(name)),
        Kind::Empty => findings.push(Finding::note("empty", "content", kind::looked_at(&(0..content.size_bytes())))),
        Kind::Lvm2Pv | Kind::Unknown => {}
    }
    Ok(())
}
