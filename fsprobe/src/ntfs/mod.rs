//! NTFS: whether it was left in order, by its dirty flag, its journal's restart area and a hibernation file.
//!
//! NTFS has no public specification; the structures are those of the Linux drivers (`fs/ntfs3/ntfs.h`) and of ntfs-3g
//! (`layout.h`, `logfile.h`). All integers are little-endian.

mod attribute;
mod boot;
mod copies;
mod directory;
mod identity;
mod logfile;
mod record;

use crate::{Finding, Findings, ProbeError, ReadAt, Verdict};

use boot::Boot;
pub(crate) use boot::has_boot_sector;
use directory::Lookup;
pub(crate) use identity::identity;
use logfile::LogState;
use record::Mft;

const MFT_LOGFILE: u64 = 2;
const MFT_VOLUME: u64 = 3;
const MFT_ROOT: u64 = 5;
const AT_VOLUME_NAME: u32 = 0x60;
const AT_VOLUME_INFORMATION: u32 = 0x70;
const VOLUME_IS_DIRTY: u16 = 1;

/// Adds what is known of the state of an NTFS volume; nothing where it was unmounted in order.
///
/// What was found before a read failed stays in `findings`.
pub(crate) fn check(volume: &dyn ReadAt, findings: &mut Findings) -> Result<(), ProbeError> {
    let boot = match Boot::read(volume)? {
        Ok(boot) => boot,
        Err(why) => {
            findings.push(Finding::damage("ntfs-boot-sector-bad", "boot sector at byte 0", why));
            return Ok(());
        }
    };
    if boot.volume_bytes > volume.size_bytes() {
        let detail = format!("the filesystem has {} bytes, its volume {}", boot.volume_bytes, volume.size_bytes());
        findings.push(Finding::damage("ntfs-truncated", "boot sector at byte 0", detail));
    }
    let mft = match Mft::open(volume, &boot)? {
        Ok(mft) => mft,
        Err(why) => {
            findings.push(Finding::damage("ntfs-mft-bad", "MFT record 0", why));
            return Ok(());
        }
    };
    findings.extend(dirty_flag(&mft)?);
    findings.extend(journal(&mft)?);
    findings.extend(hibernation(&mft)?);
    let is_in_use = findings.verdict() != Verdict::Consistent;
    copies::compare(&mft, &boot, is_in_use, findings)
}

fn dirty_flag(mft: &Mft<'_>) -> Result<Option<Finding>, ProbeError> {
    let place = "$Volume (MFT record 3)";
    let record = match mft.record(MFT_VOLUME)? {
        Ok(record) => record,
        Err(why) => return Ok(Some(Finding::damage("ntfs-volume-record-bad", place, why))),
    };
    let Some(value) = record.resident(AT_VOLUME_INFORMATION).filter(|value| value.len() >= 12) else {
        return Ok(Some(Finding::damage("ntfs-volume-record-bad", place, "it has no volume information")));
    };
    let flags = crate::bytes::le16(value, 10);
    Ok((flags & VOLUME_IS_DIRTY != 0).then(|| {
        let detail = format!("the volume is marked dirty (flags {flags:#06x}): Windows would run chkdsk on it");
        Finding::replay("ntfs-dirty", place, detail)
    }))
}

fn journal(mft: &Mft<'_>) -> Result<Option<Finding>, ProbeError> {
    let place = "$LogFile (MFT record 2)";
    let record = match mft.record(MFT_LOGFILE)? {
        Ok(record) => record,
        Err(why) => return Ok(Some(Finding::damage("ntfs-logfile-record-bad", place, why))),
    };
    Ok(match logfile::state(mft, &record)? {
        LogState::Clean => None,
        LogState::Open => {
            let detail = "it was not closed: the volume was mounted when this was copied, or never unmounted";
            Some(Finding::replay("ntfs-log-dirty", place, detail))
        }
        LogState::Cached => {
            let detail = "it is closed, but in the form (2.x) of a Windows that may keep metadata in memory: fast startup, or \
                          the power was cut";
            Some(Finding::unknown("ntfs-log-cached", place, detail))
        }
        LogState::Unknown(why) => Some(Finding::unknown("ntfs-log-unknown", place, why)),
    })
}

fn hibernation(mft: &Mft<'_>) -> Result<Option<Finding>, ProbeError> {
    let place = "hiberfil.sys";
    let unknown = |why: String| Some(Finding::unknown("ntfs-hibernation-unknown", place, why));
    let number = match directory::find(mft, MFT_ROOT, place)? {
        Lookup::Missing => return Ok(None),
        Lookup::Unknown(why) => return Ok(unknown(why)),
        Lookup::Found(number) => number,
    };
    let record = match mft.record(number)? {
        Ok(record) => record,
        Err(why) => return Ok(unknown(format!("MFT record {number}: {why}"))),
    };
    let mut magic = [0; 4];
    if let Err(why) = record.read_data(mft, &mut magic, 0)? {
        return Ok(unknown(why));
    }
    Ok(match &magic {
        b"hibr" | b"HIBR" | b"rstr" | b"RSTR" => {
            let detail = "Windows is hibernated (or was shut down with fast startup): what it holds in memory is not on the disk";
            Some(Finding::unknown("ntfs-hibernated", place, detail))
        }
        // Awake again, or the file is only reserved.
        b"wake" | b"WAKE" | [0, 0, 0, 0] => None,
        other => unknown(format!("it begins with {other:02x?}, which is not known")),
    })
}
