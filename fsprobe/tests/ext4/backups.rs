//! Copies of the superblock: found without the first one, and compared with it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use fsprobe::{Depth, Kind, Verdict};

use crate::image::Made;
use crate::{check, codes};

/// The image with other bytes at some of its places.
fn overwritten(made: &Made, places: &[(u64, &[u8])]) {
    let file = OpenOptions::new().write(true).open(&made.path).unwrap();
    places.iter().for_each(|(at, bytes)| file.write_all_at(bytes, *at).unwrap());
}

#[test]
fn a_lost_superblock_is_found_by_its_copy_whatever_the_geometry() {
    for (size_mib, options, offset_bytes) in [
        (200, &["-t", "ext4", "-b", "4096"][..], 128 << 20),
        (40, &["-t", "ext4", "-b", "1024"], (8 << 20) + 1024),
        (600, &["-t", "ext4", "-O", "bigalloc", "-C", "16384"], 512 << 20),
        (300, &["-t", "ext4", "-b", "1024", "-O", "bigalloc", "-C", "16384"], 128 << 20),
        (40, &["-t", "ext4", "-b", "1024", "-g", "4096"], (4 << 20) + 1024),
        (200, &["-t", "ext4", "-b", "4096", "-g", "16384"], 64 << 20),
        (200, &["-t", "ext4", "-b", "4096", "-O", "sparse_super2,^resize_inode"], 128 << 20),
        (200, &["-t", "ext2", "-r", "0", "-b", "4096"], 128 << 20),
    ] {
        let made = Made::mke2fs(size_mib, options);
        overwritten(&made, &[(1024, &[0; 1024])]);
        let report = fsprobe::check(&made.open(), Depth::Default).unwrap();
        let volume = &report.volumes[0];
        assert_eq!((report.verdict, volume.kind), (Verdict::Unknown, Kind::Unknown), "{options:?}");
        let [finding] = volume.findings.as_slice() else { panic!("{options:?}: {:?}", volume.findings) };
        assert_eq!(finding.code, "ext-superblock-lost", "{options:?}");
        assert!(finding.detail.contains(&format!("is at byte {offset_bytes}, ")), "{options:?}: {}", finding.detail);
    }
}

#[test]
fn the_copy_in_group_three_is_found_where_that_of_group_one_is_lost_too() {
    let made = Made::mke2fs(512, &["-t", "ext4", "-b", "4096"]);
    overwritten(&made, &[(0, &[7; 4096]), (128 << 20, &[7; 4096])]);
    let report = fsprobe::check(&made.open(), Depth::Default).unwrap();
    let finding = &report.volumes[0].findings[0];
    assert_eq!(finding.code, "ext-superblock-lost");
    assert!(finding.detail.contains(&format!("is at byte {}, ", 3 << 27)), "{}", finding.detail);
}

/// As busybox makes them: every copy says that it is the first.
fn unnumbered() -> Made {
    let made = Made::mke2fs(60, &["-t", "ext2", "-b", "1024"]);
    let place = |group: u64| (group * (8 << 20) + 1024 + 0x5a, &[0_u8, 0][..]);
    overwritten(&made, &[1, 3, 5, 7].map(place));
    made
}

#[test]
fn copies_without_a_number_are_one_note() {
    let found = check(&unnumbered().bytes());
    assert_eq!((found.verdict, codes(&found)), (Verdict::Consistent, vec!["superblock-backup-unnumbered"]));
    assert!(found.findings[0].detail.starts_with("4 of them"), "{}", found.findings[0].detail);
}

#[test]
fn a_copy_without_a_number_is_used_where_there_is_no_other() {
    let made = unnumbered();
    overwritten(&made, &[(1024, &[0; 1024])]);
    let report = fsprobe::check(&made.open(), Depth::Default).unwrap();
    assert_eq!(report.volumes[0].findings[0].code, "ext-superblock-lost");
    let found = check(&made.bytes());
    assert_eq!(codes(&found)[..2], ["superblock-magic", "superblock-backup-used"]);
    assert!(found.ext4.is_some());
}
