//! The MMP block (`mmp`): who has the filesystem mounted, so that nobody else mounts it as well.
//!
//! <https://docs.kernel.org/filesystems/ext4/mmp.html>

use super::checksum::crc32c_le;
use super::fault::Fault;
use super::features::incompat;
use super::fields::{array, le32, le64, text};
use super::filesystem::Filesystem;
use super::time::utc;
use crate::{Finding, ProbeError};

const MAGIC: u32 = 0x4d_4d50;
/// `mmp_seq`: nobody has it mounted.
const SEQ_CLEAN: u32 = 0xff4d_4d50;
/// `mmp_seq`: an e2fsck is at work, or was cut short.
const SEQ_FSCK: u32 = 0xe24d_4d50;
const CHECKSUM_OFFSET: usize = 0x3fc;

/// What the MMP block says; nothing where there is none, or nobody has the filesystem mounted.
///
/// # Errors
/// [`ProbeError::Io`] where the medium fails.
pub(super) fn check(filesystem: &Filesystem<'_>) -> Result<Option<Finding>, ProbeError> {
    if !filesystem.superblock.has_incompat(incompat::MMP) {
        return Ok(None);
    }
    read(filesystem).map_or_else(|fault| fault.finding().map(Some), Ok)
}

fn read(filesystem: &Filesystem<'_>) -> Result<Option<Finding>, Fault> {
    let superblock = &filesystem.superblock;
    let place = format!("MMP block {}", superblock.s_mmp_block);
    if !filesystem.contains(superblock.s_mmp_block, 1) || superblock.s_mmp_block <= superblock.primary_block() {
        let detail = format!("the filesystem has {} blocks", superblock.s_blocks_count);
        return Err(Fault::damage("mmp-range", place, detail));
    }
    let block = filesystem.read_block(superblock.s_mmp_block, &place)?;
    let (mmp_magic, mmp_seq, mmp_time) = (le32(&block, 0), le32(&block, 4), le64(&block, 8));
    if mmp_magic != MAGIC {
        return Err(Fault::damage("mmp-magic", place, format!("mmp_magic is {mmp_magic:#x}, not {MAGIC:#x}")));
    }
    let mmp_checksum = le32(&block, CHECKSUM_OFFSET);
    let computed = crc32c_le(superblock.checksum_seed(), block.get(..CHECKSUM_OFFSET).unwrap_or_default());
    if superblock.has_metadata_csum() && mmp_checksum != computed {
        let detail = format!("mmp_checksum is {mmp_checksum:#010x}, computed {computed:#010x}");
        return Err(Fault::damage("mmp-checksum", place, detail));
    }
    let (mmp_nodename, mmp_bdevname) = (text(&array::<64>(&block, 0x10)), text(&array::<32>(&block, 0x50)));
    let by = format!("on the machine {mmp_nodename}, as {mmp_bdevname}, at {}", utc(mmp_time));
    Ok(match mmp_seq {
        SEQ_CLEAN => None,
        SEQ_FSCK => {
            let detail = format!("an e2fsck is at work on it or was cut short, {by}");
            Some(Finding::unknown("mmp-fsck", place, detail))
        }
        _ => {
            let detail = format!("it is mounted or was not unmounted, {by} (mmp_seq {mmp_seq:#x})");
            Some(Finding::note("mmp-in-use", place, detail))
        }
    })
}
