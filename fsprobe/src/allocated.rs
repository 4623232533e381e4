//! What a backup of a disk has to copy.

use crate::layout::Disk;
use crate::{Extent, ExtentSet, Kind, ProbeError, ReadAt, Verdict, Volume, ext4, kind};

/// The byte ranges of `disk` that a backup must copy: sorted, apart from each other, within the disk.
///
/// Everything is needed that is not provably unused. Unused are: blocks that an ext2, ext3 or ext4 filesystem has not
/// allocated; pages of swap space, after the first; extents of an LVM2 group that no logical volume has. Tables, gaps between
/// partitions (boot loaders live there), metadata areas and volumes of any other kind are copied whole, and so is an ext
/// volume whose filesystem is damaged, ambiguous, or the origin of a snapshot. Where volumes
/// overlap all is copied.
///
/// # Errors
/// Where a structure that tells what is unused cannot be read.
pub fn allocated(disk: &dyn ReadAt, layout: &Disk) -> Result<Vec<Extent>, ProbeError> {
    let everything = Extent::new(0, layout.size_bytes.min(disk.size_bytes()));
    if is_claimed_twice(layout) {
        return Ok(vec![everything]);
    }
    let mut needed = ExtentSet::default();
    // Parts of the disk that are not copied unless something in `needed` says so.
    let mut told = ExtentSet::default();
    for volume in &layout.volumes {
        told.extend(volume.free.iter().copied());
        match used_within(disk, volume)? {
            Some(used) => {
                told.extend(volume.areas());
                for extent in used {
                    needed.extend(volume.disk_extents(extent));
                }
            }
            None if volume.kind != Kind::Lvm2Pv => needed.extend(volume.areas()),
            None => {}
        }
    }
    let mut at = 0;
    for extent in told.into_sorted() {
        needed.insert(Extent::new(at, extent.offset_bytes.saturating_sub(at)));
        at = at.max(extent.end_bytes());
    }
    needed.insert(Extent::new(at, everything.size_bytes.saturating_sub(at)));
    let within = |extent: Extent| {
        let end = extent.end_bytes().min(everything.size_bytes);
        (extent.offset_bytes < end).then(|| Extent::new(extent.offset_bytes, end - extent.offset_bytes))
    };
    Ok(needed.into_sorted().into_iter().filter_map(within).collect())
}

/// Whether some bytes belong to two volumes, so that neither can say that they are unused.
fn is_claimed_twice(layout: &Disk) -> bool {
    let codes = ["partition-overlap", "lvm-extent-claimed-twice", "table-and-filesystem"];
    let overlap = |findings: &[crate::Finding]| findings.iter().any(|finding| codes.contains(&&*finding.code));
    overlap(&layout.findings) || layout.volumes.iter().any(|volume| overlap(&volume.findings))
}

/// The ranges in use within a volume; `None` where it does not tell.
fn used_within(disk: &dyn ReadAt, volume: &Volume) -> Result<Option<Vec<Extent>>, ProbeError> {
    if volume.needed_whole || !volume.is_whole() {
        return Ok(None);
    }
    let content = volume.open(disk);
    match volume.kind {
        Kind::Swap => {
            let swap = kind::swap_of(&content).map_err(|error| error.in_volume(&volume.path))?;
            Ok(swap.filter(|swap| !swap.hibernated).map(|swap| {
                let behind = content.size_bytes().saturating_sub(swap.end_bytes);
                vec![Extent::new(0, swap.page_bytes), Extent::new(swap.end_bytes, behind)]
            }))
        }
        Kind::Ext2 | Kind::Ext3 | Kind::Ext4 => {
            let in_volume = |error: ProbeError| error.in_volume(&volume.path);
            // Bitmaps of a damaged filesystem prove nothing, and whoever repairs it needs every block.
            if ext4::verdict(&content).map_err(in_volume)? == Verdict::Damaged {
                return Ok(None);
            }
            ext4::allocated(&content).map(Some).map_err(in_volume)
        }
        _ => Ok(None),
    }
}
