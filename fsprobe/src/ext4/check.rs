//! The check of one volume: all findings, and the verdict that they leave.

use super::backup;
use super::deep;
use super::error_record::ErrorRecord;
use super::fault::Fault;
use super::fields::byte;
use super::mmp;
use super::open::{Opened, open};
use super::orphans::orphans;
use super::superblock::Superblock;
use crate::{Depth, Ext4Check, Ext4Summary, Finding, Findings, ProbeError, ReadAt, Severity, Verdict};

/// Checks the ext2, ext3 or ext4 on `volume` without writing: superblocks, error record, journal, group descriptors and
/// orphans, those after the journal as it leaves them.
///
/// The freeze proof is `needs_recovery == false && journal_start == 0` of the summary: then the verdict is not `replay`.
///
/// Where the medium fails, the check ends with the finding `unreadable`, which is damage, after those until then.
#[must_use]
pub fn check(volume: &dyn ReadAt, depth: Depth) -> Ext4Check {
    let mut findings = Findings::default();
    let mut summary = None;
    if let Err(error) = judge(volume, depth, &mut findings, &mut summary) {
        findings.push(error.finding());
    }
    Ext4Check { verdict: findings.verdict(), findings: findings.into_vec(), ext4: summary }
}

/// The verdict of the default check.
///
/// # Errors
/// [`ProbeError::Io`] where the medium fails.
pub(crate) fn verdict(volume: &dyn ReadAt) -> Result<Verdict, ProbeError> {
    let mut findings = Findings::default();
    judge(volume, Depth::Default, &mut findings, &mut None)?;
    Ok(findings.verdict())
}

fn judge(
    volume: &dyn ReadAt,
    depth: Depth,
    findings: &mut Findings,
    summary: &mut Option<Ext4Summary>,
) -> Result<(), ProbeError> {
    let opened = open(volume)?;
    findings.extend(opened.findings.iter().cloned());
    let Some(superblock) = &opened.superblock else { return Ok(()) };
    let summary = summary.insert(summary_of(&opened, superblock));
    if !superblock.is_backup() {
        findings.extend(state(superblock));
    }
    findings.extend(reserved_blocks(superblock));
    findings.extend(default_hash(superblock));
    findings.extend(replay_needed(&opened));
    if opened.is_interpretable() {
        findings.extend(backup::compare(volume, superblock)?);
        if let Some(filesystem) = opened.filesystem() {
            for (_, descriptor) in filesystem.groups() {
                let finding = descriptor.err().map(Fault::finding).transpose()?;
                // That of the journal's inode was told.
                findings.extend(finding.filter(|finding| !opened.findings.contains(finding)));
            }
            findings.extend(mmp::check(&filesystem)?);
            let orphans = orphans(&filesystem)?;
            summary.orphans = u32::try_from(orphans.inodes.len()).unwrap_or(u32::MAX);
            findings.extend(orphans.findings.into_vec());
            if depth == Depth::Deep && !is_deep_hindered(&opened, findings) {
                deep::check(&filesystem, &orphans.inodes, findings)?;
            }
        }
    }
    Ok(())
}

/// Why inodes, bitmaps and directories cannot be judged, as a finding.
fn is_deep_hindered(opened: &Opened<'_>, findings: &mut Findings) -> bool {
    let Some(superblock) = &opened.superblock else { return true };
    let is_sound = !opened.findings.iter().any(|finding| finding.severity == Severity::Damage);
    let is_replayed = opened.replay.is_some() && is_sound;
    let reason = if superblock.size_bytes() > opened.volume.size_bytes() {
        "the volume is shorter than the filesystem"
    } else if superblock.needs_recovery() && !is_replayed {
        "the journal has to be replayed, and cannot be"
    } else {
        return false;
    };
    findings.push(Finding::unknown("deep-not-judged", "content", format!("{reason}: this is the default check only")));
    true
}

fn summary_of(opened: &Opened<'_>, superblock: &Superblock) -> Ext4Summary {
    let replay = opened.replay.as_ref();
    let journal = opened.journal.as_ref();
    let error_record = ErrorRecord::of(superblock);
    Ext4Summary {
        needs_recovery: superblock.needs_recovery(),
        journal_start: journal.map_or(0, |journal| journal.s_start),
        replay_transactions: replay.map_or(0, |replay| replay.transactions),
        replay_blocks: opened.volume.replayed_blocks(),
        orphans: 0,
        errors_recorded: error_record.as_ref().map_or(0, |record| record.count),
        journal_sequence: journal.map_or(0, |journal| journal.s_sequence),
        fast_commits: replay.map_or(0, |replay| replay.fast_commits.count),
        label: superblock.s_volume_name.clone(),
        uuid: uuid::Uuid::from_bytes(superblock.s_uuid).to_string(),
        last_mounted: superblock.s_last_mounted.clone(),
        block_size_bytes: superblock.block_size_bytes(),
        blocks: superblock.s_blocks_count,
        inodes: superblock.s_inodes_count,
        features: superblock.feature_names(),
        error_record,
    }
}

fn replay_needed(opened: &Opened<'_>) -> Option<Finding> {
    let detail = format!("in the journal only: {}", opened.replay_extent()?);
    Some(Finding::replay("journal-needs-replay", "journal", detail))
}

/// More blocks kept for root than there are is a superblock that was overwritten, although the kernel mounts it. With more
/// than half of them, e2fsck refuses to open it; mke2fs itself makes that of `-m 50` with bigalloc.
fn reserved_blocks(superblock: &Superblock) -> Option<Finding> {
    let Superblock { s_r_blocks_count, s_blocks_count, .. } = *superblock;
    let severity = match () {
        () if s_r_blocks_count > s_blocks_count => Severity::Damage,
        () if s_r_blocks_count > s_blocks_count / 2 => Severity::Warning,
        () => return None,
    };
    let detail = format!("s_r_blocks_count is {s_r_blocks_count} of {s_blocks_count}: e2fsck refuses more than half");
    Some(Finding::new(severity, "superblock-reserved-blocks", "superblock", detail))
}

/// Kernels of today refuse to mount with a hash for new directories that there is not.
fn default_hash(superblock: &Superblock) -> Option<Finding> {
    /// `DX_HASH_SIPHASH`.
    const LAST: u8 = 6;
    let s_def_hash_version = byte(superblock.raw(), 0xfc);
    let detail = format!("s_def_hash_version is {s_def_hash_version}: newer kernels do not mount it");
    (s_def_hash_version > LAST).then(|| Finding::damage("superblock-hash-version", "superblock", detail))
}

/// What `s_state` and the error record say.
fn state(superblock: &Superblock) -> Vec<Finding> {
    const PLACE: &str = "superblock";
    let mut findings = Vec::new();
    let record = ErrorRecord::of(superblock);
    let recorded = record.map(|record| {
        format!("the kernel recorded {} errors, the first {}, the last {}", record.count, record.first, record.last)
    });
    if superblock.is_state_error() {
        let detail = recorded.unwrap_or_else(|| "s_state says that the kernel met an error".to_owned());
        findings.push(Finding::damage("errors-recorded", PLACE, detail));
    } else if let Some(detail) = recorded {
        let detail = format!("{detail}; s_state has no error bit");
        findings.push(Finding::warning("errors-recorded", PLACE, detail));
    }
    if !superblock.is_state_valid() {
        let detail = if superblock.has_journal() {
            "s_state is not clean, although there is a journal: an e2fsck was cut short"
        } else {
            "s_state is not clean, and there is no journal: it is mounted, or was when it was last written"
        };
        findings.push(Finding::unknown("not-cleanly-unmounted", PLACE, detail));
    }
    findings
}
