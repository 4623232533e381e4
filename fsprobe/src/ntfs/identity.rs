//! Label and serial number.

use super::boot::Boot;
use super::record::Mft;
use super::{AT_VOLUME_NAME, MFT_VOLUME};
use crate::ReadAt;
use crate::bytes::le64;
use crate::identity::{Identity, utf16};
use crate::read_at::read;

/// The serial number of the boot sector, and the name that `$Volume` has.
pub(crate) fn identity(volume: &dyn ReadAt) -> Option<Identity> {
    let serial_number = le64(&read(volume, 0, 512, "").ok()?, 0x48);
    let label = || {
        let boot = Boot::read(volume).ok()?.ok()?;
        let mft = Mft::open(volume, &boot).ok()?.ok()?;
        let record = mft.record(MFT_VOLUME).ok()?.ok()?;
        record.resident(AT_VOLUME_NAME).and_then(utf16)
    };
    Some(Identity { label: label(), uuid: (serial_number != 0).then(|| format!("{serial_number:016X}")) })
}
