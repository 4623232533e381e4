//! Which bytes of a volume its filesystem uses: what a backup has to copy.

use super::filesystem::Filesystem;
use super::open::open;
use super::superblock::{PRIMARY_OFFSET_BYTES, SIZE_BYTES};
use crate::{Extent, ExtentSet, ProbeError, ReadAt};

/// The byte ranges of `volume` that are in use, sorted, none touching another.
///
/// Everything that cannot be proven free is in them: a group whose descriptor or bitmap does not verify, what lies after
/// the filesystem, and the whole volume where the superblock is not understood. Where the journal has to be replayed, a
/// block is in use if it is so on disk or after the replay. Memory: that of an [`ExtentSet`].
///
/// # Errors
/// [`ProbeError::Io`] where the medium fails.
pub fn allocated(volume: &dyn ReadAt) -> Result<Vec<Extent>, ProbeError> {
    let opened = open(volume)?;
    let mut set = ExtentSet::default();
    match (opened.on_disk(), opened.filesystem()) {
        (Some(on_disk), Some(replayed)) if opened.is_layout_known() => {
            insert(&on_disk, &mut set)?;
            if opened.has_replayed_blocks() {
                insert(&replayed, &mut set)?;
            }
        }
        _ => set.insert(Extent::new(0, volume.size_bytes())),
    }
    Ok(set.into_sorted())
}

fn insert(filesystem: &Filesystem<'_>, set: &mut ExtentSet) -> Result<(), ProbeError> {
    let superblock = &filesystem.superblock;
    let block_size = superblock.block_size_bytes();
    let volume_end = filesystem.volume.size_bytes();
    let mut insert = |start: u64, end: u64| set.insert(Extent::new(start, end.min(volume_end).saturating_sub(start)));

    insert(0, PRIMARY_OFFSET_BYTES + SIZE_BYTES as u64);
    insert(0, u64::from(superblock.s_first_data_block) * block_size);
    for (group, descriptor) in filesystem.groups() {
        let first = superblock.group_first_block(group);
        let end = first + superblock.group_blocks(group);
        let descriptor = match descriptor {
            Ok(descriptor) => descriptor,
            Err(fault) => {
                fault.finding()?;
                insert(first * block_size, end * block_size);
                continue;
            }
        };
        match filesystem.block_bitmap(&descriptor) {
            Ok(bitmap) => {
                let cluster = superblock.blocks_per_cluster();
                for run in bitmap.runs() {
                    let start = first + u64::from(run.start) * cluster;
                    insert(start * block_size, (first + u64::from(run.end) * cluster).min(end) * block_size);
                }
            }
            Err(fault) => {
                fault.finding()?;
                insert(first * block_size, end * block_size);
            }
        }
        // In use by their nature, whatever a bitmap says.
        for (start, blocks) in [
            (first, superblock.base_metadata_blocks(group)),
            (descriptor.bg_block_bitmap, 1),
            (descriptor.bg_inode_bitmap, 1),
            (descriptor.bg_inode_table, filesystem.inode_table_blocks()),
        ] {
            insert(start * block_size, (start + blocks) * block_size);
        }
    }
    insert(superblock.size_bytes(), volume_end);
    Ok(())
}
