//! The headers of the allocation groups: the superblock's copy, AGF, AGI and AGFL, a sector each, with which every group
//! begins (`struct xfs_agf`, `xfs_agi`, `xfs_agfl` of `fs/xfs/libxfs/xfs_format.h`; what is checked is what the kernel checks
//! when it reads them: `xfs_agf_verify`, `xfs_agi_verify`, `xfs_agfl_verify`).

use super::superblock::Superblock;
use crate::bytes::{be32, has, le32};
use crate::read_at::read;
use crate::{Finding, Findings, ProbeError, ReadAt};

/// Groups that are looked at. mkfs makes four of a TiB; a filesystem that grew from a small one has the most.
const MAX_GROUPS: u32 = 1 << 16;
const SECTORS: usize = 4;

/// One of the three headers, by its offsets.
struct Header {
    name: &'static str,
    /// Its sector within the group.
    sector: usize,
    magic: &'static [u8; 4],
    seqno_at: usize,
    uuid_at: usize,
    crc_at: usize,
    /// `agf_length`, `agi_length`.
    length_at: Option<usize>,
}

const HEADERS: [Header; 3] = [
    Header { name: "AGF", sector: 1, magic: b"XAGF", seqno_at: 8, uuid_at: 64, crc_at: 216, length_at: Some(12) },
    Header { name: "AGI", sector: 2, magic: b"XAGI", seqno_at: 8, uuid_at: 296, crc_at: 312, length_at: Some(12) },
    Header { name: "AGFL", sector: 3, magic: b"XAFL", seqno_at: 4, uuid_at: 8, crc_at: 32, length_at: None },
];

/// Adds what is wrong with the headers of all groups that are on `volume`.
///
/// Unless the log `is_clean`, a growth of the filesystem may have reached the superblock and not yet the group that grew.
pub(super) fn check(
    volume: &dyn ReadAt,
    superblock: &Superblock,
    is_clean: bool,
    findings: &mut Findings,
) -> Result<(), ProbeError> {
    let sector_bytes = usize::from(superblock.sb_sectsize);
    if !sector_bytes.is_power_of_two() || !(512..=32 << 10).contains(&sector_bytes) {
        let detail = format!("its sector size is {sector_bytes}");
        findings.push(Finding::damage("xfs-superblock-bad", "superblock at byte 0", detail));
        return Ok(());
    }
    let group_bytes = u64::from(superblock.sb_agblocks) * u64::from(superblock.sb_blocksize);
    for group in 0..superblock.sb_agcount.min(MAX_GROUPS) {
        let Some(at) = u64::from(group).checked_mul(group_bytes) else { break };
        let length = SECTORS * sector_bytes;
        // That it is cut was said.
        if at.saturating_add(length as u64) > volume.size_bytes() {
            break;
        }
        let headers = read(volume, at, length, "XFS group headers")?;
        if group > 0 {
            findings.extend(copy(&headers, superblock, group));
        }
        for header in &HEADERS {
            let place = || format!("{} of group {group}", header.name);
            if let Some(why) = header.wrong(&headers, superblock, group, is_clean) {
                findings.push(Finding::damage("xfs-group-header-bad", place(), why));
            }
        }
    }
    if superblock.sb_agcount > MAX_GROUPS {
        let detail = format!("of {} groups the first {MAX_GROUPS} are looked at", superblock.sb_agcount);
        findings.push(Finding::unknown("xfs-too-many-groups", "superblock at byte 0", detail));
    }
    Ok(())
}

impl Header {
    /// What is wrong with it, in the first sectors of its group.
    fn wrong(&self, headers: &[u8], superblock: &Superblock, group: u32, is_clean: bool) -> Option<String> {
        let sector_bytes = usize::from(superblock.sb_sectsize);
        let sector = headers.get(self.sector * sector_bytes..)?.get(..sector_bytes)?;
        if !superblock.has_checksums() && self.magic == b"XAFL" {
            return None; // It is a list of numbers and nothing else.
        }
        if !has(sector, 0, self.magic) {
            let magic = String::from_utf8_lossy(self.magic);
            return Some(format!(
                "its magic is {:#010x}, not {magic}: the kernel shuts down when it needs it",
                be32(sector, 0)
            ));
        }
        if superblock.has_checksums() {
            let (stored, computed) = (le32(sector, self.crc_at), Superblock::checksum(sector, self.crc_at));
            if stored != computed {
                return Some(format!("its checksum is {stored:#010x}, its bytes give {computed:#010x}"));
            }
            if !has(sector, self.uuid_at, &superblock.meta_uuid) {
                return Some("it is of a filesystem with another UUID".into());
            }
        }
        let seqno = be32(sector, self.seqno_at);
        if seqno != group {
            return Some(format!("it says that it is of group {seqno}"));
        }
        let length_at = self.length_at?;
        let (version, length) = (be32(sector, 4), be32(sector, length_at));
        if version != 1 {
            return Some(format!("its version is {version}"));
        }
        let is_last = group + 1 == superblock.sb_agcount;
        let is_wrong = length > superblock.sb_agblocks || (length < superblock.sb_agblocks && is_clean && !is_last);
        is_wrong
            .then(|| format!("it says that the group has {length} blocks, the superblock {}", superblock.sb_agblocks))
    }
}

/// The copy of the superblock, which only repair needs: it is there, and of this filesystem.
fn copy(headers: &[u8], superblock: &Superblock, group: u32) -> Option<Finding> {
    let why = match Superblock::parse(headers) {
        Err(why) => why,
        Ok(copy) if copy.sb_uuid != superblock.sb_uuid => "its UUID is another one".into(),
        Ok(copy) if copy.sb_agblocks != superblock.sb_agblocks => {
            format!("it says that groups have {} blocks, the first {}", copy.sb_agblocks, superblock.sb_agblocks)
        }
        Ok(_) => return None,
    };
    Some(Finding::warning("xfs-superblock-copy-bad", format!("superblock of group {group}"), why))
}
