//! NTFS, made by mkntfs and changed by ntfs-3g's tools, which need no mount.

use std::path::{Path, PathBuf};

use fsprobe::{Depth, Verdict, check};
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::program::run;

use crate::support::{Patched, code};

fn made(images: &Images, options: &[&str]) -> PathBuf {
    let image = images.blank("ntfs", 32 << 20);
    run("mkfs.ntfs", &[&["-Q", "-F", "-q"], options, &[image.to_str().unwrap()]].concat());
    image
}

fn judged(image: &Patched) -> (Verdict, Vec<&'static str>) {
    let report = check(image, Depth::Default).unwrap();
    (report.verdict, report.volumes[0].findings.iter().map(code).collect())
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

/// Where record `number` of the MFT is, by clusters of 4096 bytes.
fn mft_record(image: &Patched, number: u64) -> u64 {
    let mut boot = [0; 512];
    fsprobe::ReadAt::read_exact_at(image, &mut boot, 0).unwrap();
    u64::from_le_bytes(boot[0x30..0x38].try_into().unwrap()) * 4096 + number * 1024
}

/// Both restart pages of `$LogFile`: client_in_use_list, flags, and the page's major version.
fn with_restart_pages(path: &Path, client_in_use_list: u16, flags: u16, major_ver: u16) -> Patched {
    let mut image = Patched::open(path);
    // The data of $LogFile begins where the first run of its unnamed attribute of type 0x80 says.
    let mut record = [0; 1024];
    let at = mft_record(&image, 2);
    fsprobe::ReadAt::read_exact_at(&image, &mut record, at).unwrap();
    let mut attribute = usize::from(u16::from_le_bytes([record[20], record[21]]));
    while record[attribute] != 0x80 {
        attribute += usize::from(u16::from_le_bytes([record[attribute + 4], record[attribute + 5]]));
    }
    let run = attribute + usize::from(u16::from_le_bytes([record[attribute + 32], record[attribute + 33]]));
    let (lengths, offsets) = (usize::from(record[run] & 0xf), usize::from(record[run] >> 4));
    let mut cluster = [0; 8];
    cluster[..offsets].copy_from_slice(&record[run + 1 + lengths..][..offsets]);
    let log = u64::from_le_bytes(cluster) * 4096;
    for page in [log, log + 4096] {
        let mut bytes = vec![0_u8; 4096];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, b"RSTR");
        put(4, &30_u16.to_le_bytes());
        put(6, &9_u16.to_le_bytes());
        put(16, &4096_u32.to_le_bytes());
        put(20, &4096_u32.to_le_bytes());
        put(24, &48_u16.to_le_bytes());
        put(28, &major_ver.to_le_bytes());
        put(30, &7_u16.to_le_bytes());
        put(48 + 12, &client_in_use_list.to_le_bytes());
        put(48 + 14, &flags.to_le_bytes());
        (1..=8).for_each(|stride| put(stride * 512 - 2, &7_u16.to_le_bytes()));
        image.patches.extend((page..).zip(bytes));
    }
    image
}

#[test]
fn the_restart_area_of_the_journal_decides_as_ntfs_3g_does() {
    let images = Images::new();
    let path = made(&images, &[]);
    for (client, flags, major_ver, expected) in [
        (0xffff, 0, 1, (Verdict::Consistent, vec![])),
        (0, 2, 1, (Verdict::Consistent, vec![])),
        (0, 0, 1, (Verdict::Replay, vec!["ntfs-log-dirty"])),
        (0, 0, 2, (Verdict::Replay, vec!["ntfs-log-dirty"])),
        (0xffff, 0, 2, (Verdict::Unknown, vec!["ntfs-log-cached"])),
    ] {
        let image = with_restart_pages(&path, client, flags, major_ver);
        assert_eq!(judged(&image), expected, "client {client:#x}, flags {flags}, version {major_ver}");
    }
}

#[test]
fn a_cut_volume_is_damaged() {
    let images = Images::new();
    let path = made(&images, &[]);
    // mkntfs leaves room for the copy of the boot sector behind the filesystem.
    for size in [(32 << 20) - 4096, 16 << 20, 20 << 10, 8192] {
        let (verdict, codes) = judged(&Patched::open(&path).truncated(size));
        assert_eq!((verdict, codes[0]), (Verdict::Damaged, "ntfs-truncated"), "{size} bytes: {codes:?}");
    }
}

#[test]
fn a_copy_of_the_first_records_that_differs_is_damage_and_unknown_while_it_is_in_use() {
    let images = Images::new();
    let path = made(&images, &[]);
    let mut boot = [0; 512];
    fsprobe::ReadAt::read_exact_at(&Patched::open(&path), &mut boot, 0).unwrap();
    let mirror = u64::from_le_bytes(boot[0x38..0x40].try_into().unwrap()) * 4096;
    // A byte of the attributes; of the magic.
    for (at, expected) in [(0x60, "ntfs-mirror-differs"), (0, "ntfs-mirror-bad")] {
        let mut image = Patched::open(&path);
        image.patches.push((mirror + 1024 + at, 0xee));
        assert_eq!(judged(&image), (Verdict::Damaged, vec![expected]));
        let mut image = with_restart_pages(&path, 0, 0, 1);
        image.patches.push((mirror + 1024 + at, 0xee));
        assert_eq!(judged(&image), (Verdict::Replay, vec!["ntfs-log-dirty", expected]));
    }
}

#[test]
fn a_missing_copy_of_the_boot_sector_is_a_warning() {
    let images = Images::new();
    let mut image = Patched::open(&made(&images, &[]));
    image.patches.push(((32 << 20) - 512 + 3, 0));
    assert_eq!(judged(&image), (Verdict::Consistent, vec!["ntfs-boot-copy-missing"]));
}
