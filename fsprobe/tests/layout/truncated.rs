//! A medium that holds less than its content says is damaged, whatever the kind.

use std::path::Path;

use fsprobe::{Depth, Verdict, check};
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::program::run;

use crate::support::{Patched, code};

/// The verdict of the first `size_bytes` of an image, and the codes of its volume's findings.
fn cut(image: &Path, size_bytes: u64) -> (Verdict, Vec<&'static str>) {
    let report = check(&Patched::open(image).truncated(size_bytes), Depth::Default).unwrap();
    (report.verdict, report.volumes[0].findings.iter().map(code).collect())
}

#[test]
fn what_is_cut_is_damaged_and_what_is_whole_is_not() {
    for (program, args, size_mib, expected) in [
        ("mkfs.ext4", &["-q"][..], 64, "volume-truncated"),
        ("mkfs.xfs", &["-q"], 300, "xfs-truncated"),
        ("mkfs.ntfs", &["-Q", "-F", "-q"], 64, "ntfs-truncated"),
        ("mkfs.fat", &["-F16"], 64, "fat-truncated"),
        ("mkfs.fat", &["-F32"], 64, "fat-truncated"),
        ("mkswap", &["-q"], 64, "swap-truncated"),
        ("mkswap", &["-q", "-p", "65536"], 64, "swap-truncated"),
        ("mke2fs", &["-q", "-F", "-O", "journal_dev"], 64, "journal-device-truncated"),
        ("mkfs.btrfs", &["-q"], 128, "btrfs-truncated"),
    ] {
        let images = Images::new();
        let image = images.blank("disk", size_mib << 20);
        run(program, &[args, &[image.to_str().unwrap()]].concat());
        let (whole, found) = cut(&image, size_mib << 20);
        assert!(whole < Verdict::Damaged && !found.contains(&expected), "{program} {args:?}: {found:?}");
        let (verdict, found) = cut(&image, (size_mib << 20) * 5 / 8);
        assert_eq!(verdict, Verdict::Damaged, "{program} {args:?}: {found:?}");
        assert!(found.contains(&expected), "{program} {args:?}: {found:?}");
    }
}

#[test]
fn a_raid_member_that_is_shorter_than_its_data_is_damaged() {
    let member = |data_sectors: u64| {
        let mut image = vec![0_u8; 4 << 20];
        let mut put = |at: usize, bytes: &[u8]| image[4096 + at..4096 + at + bytes.len()].copy_from_slice(bytes);
        put(0, &0xa92b_4efc_u32.to_le_bytes());
        put(4, &[1]);
        put(128, &2048_u64.to_le_bytes());
        put(136, &data_sectors.to_le_bytes());
        put(144, &[8]);
        let report = check(&image, Depth::Default).unwrap();
        (report.verdict, report.volumes[0].findings.iter().map(code).collect::<Vec<_>>())
    };
    assert_eq!(member(6144), (Verdict::Unknown, vec!["not-judged"]));
    assert_eq!(member(6145), (Verdict::Damaged, vec!["not-judged", "raid-truncated"]));
}
