//! One copy of the superblock, the first or a backup, read and believed only with its checksum.

use super::fault::Fault;
use super::filesystem::read_volume;
use super::superblock::{SIZE_BYTES, Superblock};
use crate::ReadAt;

pub(super) fn read(volume: &dyn ReadAt, offset_bytes: u64, place: &str) -> Result<Superblock, Fault> {
    let mut raw = [0; SIZE_BYTES];
    read_volume(volume, &mut raw, offset_bytes, place)?;
    Superblock::parse(&raw, place)
}

pub(super) fn verified(superblock: Superblock, place: &str) -> Result<Superblock, Fault> {
    match superblock.computed_checksum() {
        Some(computed) if computed != superblock.s_checksum => {
            let detail = format!("s_checksum is {:#010x}, computed {computed:#010x}", superblock.s_checksum);
            Err(Fault::damage("superblock-checksum", place, detail))
        }
        _ => Ok(superblock),
    }
}
