//! The copies of the superblock: compared with the primary one, and used where it is bad.
//!
//! <https://docs.kernel.org/filesystems/ext4/blockgroup.html>: `sparse_super`, `sparse_super2`.

use super::backup_search::find_backup;
use super::features::{compat, incompat, ro_compat};
use super::superblock::{PRIMARY_OFFSET_BYTES, SIZE_BYTES, Superblock};
use super::superblock_copy::{read, verified};
use crate::{Finding, ProbeError, ReadAt};

/// Backups looked at. With `sparse_super` there are fewer on any disk; a filesystem without may have thousands.
const MAX_BACKUPS: usize = 64;

/// The primary superblock, or else the first backup that verifies, and what was noticed.
///
/// # Errors
/// [`ProbeError::Io`] where the medium fails.
pub(super) fn find_superblock(volume: &dyn ReadAt) -> Result<(Option<Superblock>, Vec<Finding>), ProbeError> {
    let primary = read(volume, PRIMARY_OFFSET_BYTES, "superblock");
    let bad = match primary.and_then(|superblock| verified(superblock, "superblock")) {
        Ok(superblock) => return Ok((Some(superblock), Vec::new())),
        Err(fault) => fault.finding()?,
    };
    let mut findings = vec![bad];
    let backup = find_backup(volume)?;
    let superblock = backup.map(|(offset_bytes, superblock)| {
        let place = format!("backup superblock at byte {offset_bytes}");
        findings.push(Finding::warning("superblock-backup-used", place, "it is used, since the primary one is bad"));
        superblock
    });
    Ok((superblock, findings))
}

/// Compares each backup with `primary` in what never differs between them.
///
/// # Errors
/// [`ProbeError::Io`] where the medium fails.
pub(super) fn compare(volume: &dyn ReadAt, primary: &Superblock) -> Result<Vec<Finding>, ProbeError> {
    let mut findings = Vec::new();
    let mut unnumbered = 0;
    for group in primary.backup_groups().take(MAX_BACKUPS) {
        let offset = primary.group_first_block(group) * primary.block_size_bytes();
        if offset.saturating_add(SIZE_BYTES as u64) > volume.size_bytes() {
            break;
        }
        let place = format!("backup superblock in group {group}");
        match read(volume, offset, &place).and_then(|backup| verified(backup, &place)) {
            Ok(backup) => match differences(primary, &backup, group).as_slice() {
                [] => {}
                ["s_block_group_nr"] if backup.s_block_group_nr == 0 => unnumbered += 1,
                differing => {
                    let detail = format!("it differs from the primary one in {}", differing.join(", "));
                    findings.push(Finding::warning("superblock-backup-differs", place, detail));
                }
            },
            Err(fault) => {
                let Finding { code, detail, .. } = fault.finding()?;
                findings.push(Finding::warning("superblock-backup-bad", place, format!("{code}: {detail}")));
            }
        }
    }
    if unnumbered > 0 {
        let detail = format!("{unnumbered} of them do not say which group they are in, as busybox makes them");
        findings.push(Finding::note("superblock-backup-unnumbered", "backup superblocks", detail));
    }
    Ok(findings)
}

/// The fields that neither a mount nor the kernel's writing changes in one copy only.
fn differences(primary: &Superblock, backup: &Superblock, group: u32) -> Vec<&'static str> {
    // The kernel sets these in the primary one while it is mounted.
    const COMPAT_VOLATILE: u32 = compat::EXT_ATTR | compat::FAST_COMMIT;
    const INCOMPAT_VOLATILE: u32 = incompat::RECOVER | incompat::EXTENTS | incompat::ENCRYPT | incompat::EA_INODE;
    const RO_COMPAT_VOLATILE: u32 = ro_compat::ORPHAN_PRESENT
        | ro_compat::LARGE_FILE
        | ro_compat::DIR_NLINK
        | ro_compat::HUGE_FILE
        | ro_compat::EXTRA_ISIZE
        | ro_compat::VERITY;
    let (p, b) = (primary, backup);
    // Of a number that does not fit, mke2fs writes 65535, and the kernel the lower half.
    let s_block_group_nr = [u16::try_from(group).unwrap_or(u16::MAX), (group & 0xffff) as u16];
    [
        ("s_block_group_nr", s_block_group_nr.contains(&b.s_block_group_nr)),
        ("s_uuid", p.s_uuid == b.s_uuid),
        ("s_blocks_count", p.s_blocks_count == b.s_blocks_count),
        ("s_inodes_count", p.s_inodes_count == b.s_inodes_count),
        ("s_first_data_block", p.s_first_data_block == b.s_first_data_block),
        ("s_log_block_size", p.s_log_block_size == b.s_log_block_size),
        ("s_log_cluster_size", p.s_log_cluster_size == b.s_log_cluster_size),
        ("s_blocks_per_group", p.s_blocks_per_group == b.s_blocks_per_group),
        ("s_inodes_per_group", p.s_inodes_per_group == b.s_inodes_per_group),
        ("s_inode_size", p.s_inode_size == b.s_inode_size),
        ("s_desc_size", p.s_desc_size == b.s_desc_size),
        ("s_first_meta_bg", p.s_first_meta_bg == b.s_first_meta_bg),
        ("s_feature_compat", (p.s_feature_compat ^ b.s_feature_compat) & !COMPAT_VOLATILE == 0),
        ("s_feature_incompat", (p.s_feature_incompat ^ b.s_feature_incompat) & !INCOMPAT_VOLATILE == 0),
        ("s_feature_ro_compat", (p.s_feature_ro_compat ^ b.s_feature_ro_compat) & !RO_COMPAT_VOLATILE == 0),
    ]
    .into_iter()
    .filter_map(|(name, is_equal)| (!is_equal).then_some(name))
    .collect()
}
