//! A device that holds nothing but the journal of filesystems on other devices.
//!
//! <https://docs.kernel.org/filesystems/ext4/journal.html#external-journal>: an ext4 superblock that says so, and the
//! journal's own one in the next block.

use super::fault::Fault;
use super::fields::{array, be32, le32};
use super::filesystem::read_volume;
use super::journal::JournalSuperblock;
use super::superblock::{PRIMARY_OFFSET_BYTES, SIZE_BYTES};
use crate::{Finding, Findings, ProbeError, ReadAt};

const PLACE: &str = "journal superblock";
/// `s_users` has room for as many.
const MAX_USERS: usize = 48;

/// Whose journal is on `volume`, and whether it is empty.
///
/// # Errors
/// [`ProbeError::Io`] where the medium fails.
pub(crate) fn check_journal_device(volume: &dyn ReadAt) -> Result<Findings, ProbeError> {
    let mut findings = Findings::default();
    if let Err(fault) = judge(volume, &mut findings) {
        findings.push(fault.finding()?);
    }
    Ok(findings)
}

fn judge(volume: &dyn ReadAt, findings: &mut Findings) -> Result<(), Fault> {
    let mut raw = [0; SIZE_BYTES];
    read_volume(volume, &mut raw, PRIMARY_OFFSET_BYTES, "superblock")?;
    // At most 6: recognised so.
    let block_size = 1024_u64 << le32(&raw, 0x18).min(6);
    let says = u64::from(le32(&raw, 0x4)).saturating_mul(block_size);
    if says > volume.size_bytes() {
        let detail = format!("it has {says} bytes, its volume {}: is it truncated?", volume.size_bytes());
        findings.push(Finding::damage("journal-device-truncated", "superblock", detail));
    }
    let journal_block = PRIMARY_OFFSET_BYTES / block_size + 1;
    read_volume(volume, &mut raw, journal_block * block_size, PLACE)?;
    let superblock = JournalSuperblock::parse(&raw, block_size)?;
    let s_nr_users = usize::try_from(be32(&raw, 0x40)).unwrap_or(MAX_USERS).min(MAX_USERS);
    let users = (0..s_nr_users).map(|user| uuid::Uuid::from_bytes(array(&raw, 0x100 + 16 * user)).to_string());
    let users = users.collect::<Vec<_>>().join(", ");
    let whose = match s_nr_users {
        0 => "it is a journal that no filesystem uses".to_owned(),
        _ => format!("it is the journal of the filesystem with the UUID {users}"),
    };
    if superblock.s_errno != 0 {
        let detail = format!("s_errno is {}: the kernel aborted the journal", superblock.s_errno);
        findings.push(Finding::damage("journal-aborted", PLACE, detail));
    }
    findings.push(match superblock.s_start {
        0 => Finding::note("journal-device", PLACE, format!("{whose}, and is empty")),
        s_start => {
            let detail = format!("{whose}, and has to be replayed there (s_start is {s_start}): it is not judged here");
            Finding::replay("journal-device", PLACE, detail)
        }
    });
    Ok(())
}
