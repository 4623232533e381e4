//! Label and serial number of a FAT volume.

use super::Parameters;
use crate::ReadAt;
use crate::bytes::{le16, le32, u8_at};
use crate::identity::{Identity, serial, text};
use crate::read_at::read;

/// A label further back in the root folder is not looked for.
const MAX_FOLDER_BYTES: u64 = 64 << 10;
const ENTRY_BYTES: usize = 32;
const ATTR_VOLUME_ID: u8 = 0x08;
/// Those that say which entry is a file's, a folder's, or part of a long name.
const ATTR_MASK: u8 = 0x18 | 0x07;

/// The label of the root folder, else that of the boot sector, as `blkid` has it.
pub(crate) fn identity(volume: &dyn ReadAt) -> Option<Identity> {
    let sector = read(volume, 0, 512, "").ok()?;
    let parameters = Parameters::parse(&sector)?;
    let extended = if parameters.is_fat32 { 66 } else { 38 };
    // BS_BootSig: 28 has a serial number behind it, 29 a label as well.
    let (boot_sig, serial_number) = (u8_at(&sector, extended), le32(&sector, extended + 1));
    let of_boot_sector =
        sector.get(extended + 5..extended + 16).filter(|label| boot_sig == 0x29 && *label != b"NO NAME    ");
    Some(Identity {
        label: in_root_folder(volume, &sector, &parameters).or_else(|| of_boot_sector.and_then(text)),
        uuid: matches!(boot_sig, 0x28 | 0x29).then(|| serial(serial_number)),
    })
}

fn in_root_folder(volume: &dyn ReadAt, sector: &[u8], parameters: &Parameters) -> Option<String> {
    let (at, size) = if parameters.is_fat32 {
        let cluster = u64::from(le32(sector, 44)).checked_sub(2).filter(|cluster| *cluster < parameters.clusters)?;
        (parameters.clusters_at() + cluster * parameters.cluster_bytes, parameters.cluster_bytes)
    } else {
        (parameters.fat_at(parameters.fats), parameters.root_entries * 32)
    };
    let folder = read(volume, at, usize::try_from(size.min(MAX_FOLDER_BYTES)).ok()?, "").ok()?;
    let mut entries = folder.chunks_exact(ENTRY_BYTES).take_while(|entry| u8_at(entry, 0) != 0);
    let label = entries.find(|entry| {
        let is_deleted = u8_at(entry, 0) == 0xe5;
        // A long name's part has this attribute, too, among others.
        !is_deleted && u8_at(entry, 11) & ATTR_MASK == ATTR_VOLUME_ID && le16(entry, 26) == 0
    })?;
    label.get(..11).and_then(text)
}
