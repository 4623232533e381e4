//! What NTFS keeps twice: the first four records of the MFT, and the boot sector.

use super::boot::{Boot, has_boot_sector};
use super::record::{Mft, Record};
use crate::read_at::read;
use crate::{Finding, Findings, ProbeError, ReadAt, Severity};

/// `$MFT`, `$MFTMirr`, `$LogFile`, `$Volume`: ntfs-3g and chkdsk compare them.
const MIRRORED_RECORDS: u64 = 4;

/// Adds what differs. Of a volume that `is_in_use`, a copy may lag behind.
pub(super) fn compare(mft: &Mft<'_>, boot: &Boot, is_in_use: bool, findings: &mut Findings) -> Result<(), ProbeError> {
    findings.extend(boot_sector(mft.volume, boot)?);
    let severity = if is_in_use { Severity::Unknown } else { Severity::Damage };
    for number in 0..MIRRORED_RECORDS {
        let at = number * boot.record_bytes as u64;
        let place = format!("$MFTMirr, record {number}");
        let mut bytes = read(mft.volume, boot.mirror_bytes.saturating_add(at), boot.record_bytes, "NTFS $MFTMirr")?;
        let copy = match Record::parse(std::mem::take(&mut bytes), b"FILE") {
            Ok(copy) => copy,
            Err(why) => {
                findings.push(Finding::new(severity, "ntfs-mirror-bad", place, why));
                continue;
            }
        };
        // A bad one of the MFT itself is said where it is read.
        if let Ok(record) = mft.record(number)?
            && record.content() != copy.content()
        {
            let detail = "it differs from the record of the MFT: Windows runs chkdsk, and ntfs-3g does not mount it";
            findings.push(Finding::new(severity, "ntfs-mirror-differs", place, detail));
        }
    }
    Ok(())
}

/// The copy of the boot sector, in the sector behind the filesystem's last or the last of its partition. Nothing needs it
/// until the first one is lost.
fn boot_sector(volume: &dyn ReadAt, boot: &Boot) -> Result<Option<Finding>, ProbeError> {
    let last = (volume.size_bytes() / 512).saturating_sub(1) * 512;
    for at in [boot.volume_bytes, last] {
        if at.saturating_add(512) <= volume.size_bytes()
            && has_boot_sector(&read(volume, at, 512, "copy of the NTFS boot sector")?)
        {
            return Ok(None);
        }
    }
    let detail = format!("there is none at byte {}, nor at the end of the volume", boot.volume_bytes);
    Ok(Some(Finding::warning("ntfs-boot-copy-missing", "copy of the boot sector", detail)))
}
