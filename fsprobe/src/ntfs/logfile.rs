//! The restart area of `$LogFile`: whether the journal was closed.

use super::record::{Mft, Record, without_fixups};
use crate::ProbeError;
use crate::bytes::{has, le16, le32, le64};

const AT_DATA: u32 = 0x80;
const LOGFILE_NO_CLIENT: u16 = 0xffff;
const RESTART_VOLUME_IS_CLEAN: u16 = 2;

/// Whether the journal was closed.
pub(super) enum LogState {
    Clean,
    Open,
    /// Closed by a Windows that may go on with what it holds in memory.
    Cached,
    Unknown(String),
}

/// A restart page that can be believed.
struct Restart {
    current_lsn: u64,
    clean: bool,
    major_ver: u16,
}

/// Reads both restart pages; the newer one that can be believed counts.
pub(super) fn state(mft: &Mft<'_>, record: &Record) -> Result<LogState, ProbeError> {
    let Some(runs) = record.runs(AT_DATA, "") else {
        return Ok(LogState::Unknown("its place is not in its first record".into()));
    };
    let mut first = vec![0; 4096];
    if let Err(why) = runs.read(mft.volume, mft.cluster_bytes, &mut first, 0)? {
        return Ok(LogState::Unknown(why));
    }
    // Formatting and ntfsfix fill it with ones, which is as good as closed.
    if first.iter().all(|&byte| byte == 0xff) {
        return Ok(LogState::Clean);
    }
    let page = match le32(&first, 16) {
        size @ (512..=65536) if size.is_power_of_two() => usize::try_from(size).unwrap_or(4096),
        _ => 4096,
    };
    let mut pages = Vec::new();
    let mut why = String::new();
    for at in [0, page as u64] {
        let mut bytes = vec![0; page];
        match runs.read(mft.volume, mft.cluster_bytes, &mut bytes, at)?.and_then(|()| restart(bytes)) {
            Ok(restart) => pages.push(restart),
            Err(error) => why = format!("restart page at byte {at}: {error}"),
        }
    }
    let newest = pages.into_iter().max_by_key(|restart| restart.current_lsn);
    Ok(match newest {
        // Windows 8 and later write version 2.0 while it is mounted, and go back to 1.1 only when it is given up.
        Some(Restart { clean: true, major_ver: 2.., .. }) => LogState::Cached,
        Some(Restart { clean: true, .. }) => LogState::Clean,
        Some(Restart { clean: false, .. }) => LogState::Open,
        None => LogState::Unknown(why),
    })
}

fn restart(bytes: Vec<u8>) -> Result<Restart, String> {
    if has(&bytes, 0, b"CHKD") {
        return Err("chkdsk has rewritten it".into());
    }
    let bytes = without_fixups(bytes, b"RSTR")?;
    let at = usize::from(le16(&bytes, 24));
    let Some(area) = bytes.get(at..).filter(|area| at >= 30 && area.len() >= 48) else {
        return Err(format!("its restart area at byte {at} is outside of it"));
    };
    let client_in_use_list = le16(area, 12);
    let clean = client_in_use_list == LOGFILE_NO_CLIENT || le16(area, 14) & RESTART_VOLUME_IS_CLEAN != 0;
    Ok(Restart { current_lsn: le64(area, 0), clean, major_ver: le16(&bytes, 28) })
}
