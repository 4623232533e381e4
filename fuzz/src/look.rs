//! Everything that can be asked of a disk, and what has to hold whatever it says.

use fsprobe::{Depth, Extent, Kind, ReadAt, allocated, check, ext4, layout, mount_hint, with_file};

/// Looks at `disk`. A panic, a hang or too much memory is what the fuzzer is after.
pub fn at(disk: &dyn ReadAt) {
    let Ok(report) = check(disk, Depth::Deep) else { return };
    let disk_layout = layout(disk).expect("a layout that could be read once");
    assert_eq!(report.volumes.len(), disk_layout.volumes.len());
    for volume in &disk_layout.volumes {
        std::hint::black_box(mount_hint(b"/dev/vg/lv", volume));
        if volume.is_whole() && matches!(volume.kind, Kind::Ext2 | Kind::Ext3 | Kind::Ext4) {
            replayed(&volume.open(disk));
        }
        if volume.is_whole() && (volume.kind == Kind::Xfs || volume.kind.is_ext()) {
            files(&volume.open(disk), volume.kind);
        }
    }
    if let Ok(extents) = allocated(disk, &disk_layout) {
        are_in_order(&extents, disk.size_bytes());
    }
}

/// The first inodes that mkfs and the kernel give to files, each read at its start and its end.
fn files(volume: &dyn ReadAt, kind: Kind) {
    for inode in if kind == Kind::Xfs { 128..192 } else { 11..30 } {
        let _ = with_file(volume, kind, inode, |file| {
            let mut buf = vec![0; 5000.min(file.size_bytes() as usize)];
            let last = file.size_bytes() - buf.len() as u64;
            let _ = std::hint::black_box((file.read_exact_at(&mut buf, 0), file.read_exact_at(&mut buf, last)));
            assert!(file.read_exact_at(&mut [0], file.size_bytes()).is_err());
        });
    }
}

/// The overlay has the size of what it lies on, and can be read.
fn replayed(volume: &dyn ReadAt) {
    let Ok(opened) = ext4::open(volume) else { return };
    assert_eq!(opened.volume.size_bytes(), volume.size_bytes());
    // Bitmaps and inode tables of the first group are what a journal holds.
    let mut head = vec![0; 256 << 10];
    let _ = std::hint::black_box(opened.volume.read_exact_at(&mut head, 0));
    if let Ok(extents) = ext4::allocated(volume) {
        are_in_order(&extents, volume.size_bytes());
    }
}

fn are_in_order(extents: &[Extent], size_bytes: u64) {
    let mut end = None;
    for extent in extents {
        assert!(extent.size_bytes > 0 && end.is_none_or(|end| extent.offset_bytes > end), "{extent:?} after {end:?}");
        end = Some(extent.end_bytes());
    }
    assert!(end.is_none_or(|end| end <= size_bytes), "{end:?} of {size_bytes}");
}
