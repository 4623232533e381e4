//! Where a copy of the superblock may be, of a filesystem of which nothing else is known.
//!
//! <https://docs.kernel.org/filesystems/ext4/blockgroup.html>: the first blocks of groups 1 and 3 have one, with
//! `sparse_super` and without; with `sparse_super2` group 1 has. How long a group is depends on block and cluster size, and on
//! `mke2fs -g`. Looked at are all lengths that are a power of two, which is what is made unless someone asks for another.

use super::fault::Fault;
use super::superblock::{SIZE_BYTES, Superblock};
use super::superblock_copy::{read, verified};
use crate::{ProbeError, ReadAt};

/// A group has 256 blocks of 1 KiB at least.
const SHORTEST: u32 = 18;
/// A group of 2^19 clusters of 64 MiB is longer than any.
const LONGEST: u32 = 45;
const GROUPS: [u16; 2] = [1, 3];
/// Of blocks of 1 KiB, the first belongs to no group.
const BOOT_BLOCK_BYTES: u64 = 1024;

/// A copy of a superblock that verifies and says that it belongs where it is, and the byte it is at.
///
/// # Errors
/// [`ProbeError::Io`] where the medium fails.
pub(crate) fn find_backup(volume: &dyn ReadAt) -> Result<Option<(u64, Superblock)>, ProbeError> {
    let mut unnumbered = None;
    for group in GROUPS {
        for length in SHORTEST..=LONGEST {
            for first in [0, BOOT_BLOCK_BYTES] {
                let offset_bytes = (u64::from(group) << length) + first;
                let Some(mut superblock) = copy_at(volume, offset_bytes, group.into())? else { continue };
                if superblock.s_block_group_nr != 0 {
                    return Ok(Some((offset_bytes, superblock)));
                }
                // The first revision and busybox write no number. It could be another filesystem's primary one, too: so
                // only where there is none with a number.
                superblock.s_block_group_nr = group;
                unnumbered = unnumbered.or(Some((offset_bytes, superblock)));
            }
        }
    }
    Ok(unnumbered)
}

/// The superblock there, if it is the copy of `group`.
fn copy_at(volume: &dyn ReadAt, offset_bytes: u64, group: u32) -> Result<Option<Superblock>, ProbeError> {
    if offset_bytes.saturating_add(SIZE_BYTES as u64) > volume.size_bytes() {
        return Ok(None);
    }
    let place = format!("backup superblock at byte {offset_bytes}");
    match read(volume, offset_bytes, &place).and_then(|superblock| verified(superblock, &place)) {
        Ok(superblock) => {
            let is_here = group < superblock.groups_count()
                && superblock.group_first_block(group) * superblock.block_size_bytes() == offset_bytes;
            let is_numbered = superblock.s_block_group_nr == 0 || u32::from(superblock.s_block_group_nr) == group;
            Ok(Some(superblock).filter(|_| is_here && is_numbered))
        }
        Err(Fault::Bad(_)) => Ok(None),
        Err(Fault::Io(error)) => Err(error),
    }
}
