//! NTFS, made by mkntfs and changed by ntfs-3g's tools, which need no mount.

use std::path::{Path, PathBuf};

use crate::support::{Images, Patched, run};
use fsprobe::{Depth, Verdict, check};

fn made(images: &Images, options: &[&str]) -> PathBuf {
    let image = images.blank("ntfs", 32 << 20);
    run("mkfs.ntfs", &[&["-Q", "-F", "-q"], options, &[image.to_str().unwrap()]].concat());
    image
}

fn judged(image: &Patched) -> (Verdict, Vec<&'static str>) {
    let report = check(image, Depth::Default).unwrap();
    (report.verdict, report.volumes[0].findings.iter().map(|finding| finding.code).collect())
}

fn with_hibernation_file(images: &Images, image: &Path, content: &[u8]) {
    let file = images.path("hiberfil");
    std::fs::write(&file, content).unwrap();
    run("ntfscp", &["-q", image.to_str().unwrap(), file.to_str().unwrap(), "Hiberfil.sys"]);
}

#[test]
fn a_new_volume_is_consistent_whatever_its_clusters() {
    let images = Images::new();
    for options in [&[][..], &["-c", "512"], &["-c", "65536"], &["-s", "4096"]] {
        assert_eq!(judged(&Patched::open(&made(&images, options))), (Verdict::Consistent, vec![]), "{options:?}");
    }
}

#[test]
fn a_volume_marked_dirty_needs_replay() {
    let images = Images::new();
    let image = made(&images, &[]);
    // ntfsfix leaves the flag set, so that Windows runs chkdsk.
    run("ntfsfix", &[image.to_str().unwrap()]);
    assert_eq!(judged(&Patched::open(&image)), (Verdict::Replay, vec!["ntfs-dirty"]));
}

#[test]
fn a_hibernated_windows_is_unknown_and_one_that_woke_is_not() {
    for (content, expected) in [
        (&b"hibr"[..], (Verdict::Unknown, vec!["ntfs-hibernated"])),
        (b"wake", (Verdict::Consistent, vec![])),
        (b"????", (Verdict::Unknown, vec!["ntfs-hibernation-unknown"])),
    ] {
        // In its record, and outside it.
        for length in [100, 100_000] {
            let images = Images::new();
            let image = made(&images, &[]);
            let mut padded = content.to_vec();
            padded.resize(length, 0);
            with_hibernation_file(&images, &image, &padded);
            assert_eq!(judged(&Patched::open(&image)), expected, "{content:?}, {length} bytes");
        }
    }
}

#[test]
fn a_torn_write_of_the_volume_record_is_damage() {
    let images = Images::new();
    let mut image = Patched::open(&made(&images, &[]));
    let mut boot = [0; 512];
    fsprobe::ReadAt::read_exact_at(&image, &mut boot, 0).unwrap();
    let mft = u64::from_le_bytes(boot[0x30..0x38].try_into().unwrap()) * 4096;
    image.patches.push((mft + 3 * 1024 + 510, 0xee));
    assert_eq!(judged(&image), (Verdict::Damaged, vec!["ntfs-volume-record-bad"]));
}

/// From a fuzzer: 2^56 sectors of 512 bytes did not fit 64 bits.
#[test]
fn a_cluster_of_any_size_is_accepted_or_refused() {
    let images = Images::new();
    let path = made(&images, &[]);
    for sectors_per_cluster in 0..=u8::MAX {
        let mut image = Patched::open(&path);
        image.patches.push((13, sectors_per_cluster));
        let (verdict, codes) = judged(&image);
        // mkntfs makes clusters of 8 sectors, which is 2^3, too; with another size the MFT is not where it should be.
        let is_right = matches!(sectors_per_cluster, 8 | 253);
        assert_eq!(verdict == Verdict::Consistent, is_right, "{sectors_per_cluster}: {codes:?}");
    }
}
