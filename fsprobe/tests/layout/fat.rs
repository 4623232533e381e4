//! FAT and exFAT: the mark of use, tables that disagree, boot regions whose checksum does not hold.

use fsprobe::{Depth, Kind, Verdict, check};
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::program::run;

use crate::support::code;

fn made(args: &[&str], size_mib: u64) -> Vec<u8> {
    let images = Images::new();
    let image = images.blank("fat", size_mib << 20);
    run("mkfs.fat", &[args, &[image.to_str().unwrap()]].concat());
    std::fs::read(image).unwrap()
}

fn judged(image: &[u8], depth: Depth) -> (Verdict, Vec<&'static str>) {
    let report = check(&image, depth).unwrap();
    (report.verdict, report.volumes[0].findings.iter().map(code).collect())
}

/// Where the first table begins, and its length.
fn table(image: &[u8]) -> (usize, usize) {
    let le16 = |at: usize| usize::from(u16::from_le_bytes([image[at], image[at + 1]]));
    let sectors = if le16(22) == 0 { le16(36) } else { le16(22) };
    (le16(14) * le16(11), sectors * le16(11))
}

#[test]
fn a_new_volume_is_consistent_and_fat12_does_not_say() {
    assert_eq!(judged(&made(&["-F16"], 32), Depth::Default), (Verdict::Consistent, vec![]));
    assert_eq!(judged(&made(&["-F32"], 64), Depth::Default), (Verdict::Consistent, vec![]));
    assert_eq!(judged(&made(&["-F12"], 2), Depth::Default), (Verdict::Unknown, vec!["not-judged"]));
}

#[test]
fn tables_that_differ_are_damage_and_only_unknown_while_it_is_in_use() {
    for (args, size_mib, state) in [(&["-F16"][..], 32, 0x25), (&["-F32"], 64, 0x41)] {
        let mut image = made(args, size_mib);
        let (first, length) = table(&image);
        image[first + length + 100] ^= 1;
        assert_eq!(judged(&image, Depth::Default), (Verdict::Damaged, vec!["fat-tables-differ"]), "{args:?}");
        image[state] |= 1;
        let expected = (Verdict::Unknown, vec!["fat-dirty", "fat-tables-differ"]);
        assert_eq!(judged(&image, Depth::Default), expected, "{args:?}");
    }
}

#[test]
fn a_table_that_does_not_begin_with_the_media_byte_is_damage() {
    let mut image = made(&["-F16"], 32);
    let (first, length) = table(&image);
    image[first] = 0;
    image[first + length] = 0;
    assert_eq!(judged(&image, Depth::Default), (Verdict::Damaged, vec!["fat-table-bad"]));
}

#[test]
fn tables_of_which_only_one_is_kept_are_not_compared() {
    let mut image = made(&["-F32"], 64);
    let (first, length) = table(&image);
    image[40] = 0x80;
    image[first + length + 100] ^= 1;
    assert_eq!(judged(&image, Depth::Default), (Verdict::Consistent, vec![]));
}

#[test]
fn long_tables_are_compared_to_their_end_only_by_the_deep_check() {
    // 16 MiB of table: clusters of 512 bytes on 2 GiB.
    let images = Images::new();
    let image = images.blank("fat", 2 << 30);
    run("mkfs.fat", &["-F32", "-s1", image.to_str().unwrap()]);
    let mut image = crate::support::Patched::open(&image);
    let mut sector = [0; 512];
    fsprobe::ReadAt::read_exact_at(&image, &mut sector, 0).unwrap();
    let (first, length) = table(&sector);
    image.patches.push(((first + length + (8 << 20)) as u64, 1));
    let judged = |depth| {
        let report = check(&image, depth).unwrap();
        (report.verdict, report.volumes[0].findings.iter().map(code).collect::<Vec<_>>())
    };
    assert_eq!(judged(Depth::Default), (Verdict::Consistent, vec!["fat-tables-partly"]));
    assert_eq!(judged(Depth::Deep), (Verdict::Damaged, vec!["deep-not-supported", "fat-tables-differ"]));
}

/// An exFAT boot region of sectors of 512 bytes, whose checksum is right, for a volume of so many bytes. No mkfs is needed.
fn exfat(size_bytes: u64) -> Vec<u8> {
    let mut image = vec![0_u8; 4 << 20];
    image[..11].copy_from_slice(b"\xeb\x76\x90EXFAT   ");
    image[72..80].copy_from_slice(&(size_bytes / 512).to_le_bytes());
    image[88..92].copy_from_slice(&256_u32.to_le_bytes()); // ClusterHeapOffset
    image[96..100].copy_from_slice(&2_u32.to_le_bytes()); // FirstClusterOfRootDirectory
    image[100..104].copy_from_slice(&0x1234_abcd_u32.to_le_bytes());
    image[108..110].copy_from_slice(&[9, 3]);
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    // The root folder begins with its label.
    image[256 * 512..256 * 512 + 6].copy_from_slice(&[0x83, 2, b'O', 0, b'K', 0]);
    seal(&mut image);
    image
}

fn seal(image: &mut [u8]) {
    let summed = image[..11 * 512].iter().enumerate().filter(|(at, _)| ![106, 107, 112].contains(at));
    let sum = summed.fold(0_u32, |sum, (_, byte)| {
        (if sum & 1 == 1 { 0x8000_0000_u32 } else { 0 }).wrapping_add(sum >> 1).wrapping_add(u32::from(*byte))
    });
    image[11 * 512..12 * 512].copy_from_slice(&sum.to_le_bytes().repeat(128));
}

#[test]
fn exfat_is_named_and_judged_by_flag_size_and_checksum() {
    let whole = exfat(4 << 20);
    assert_eq!(judged(&whole, Depth::Default), (Verdict::Consistent, vec![]));
    let report = check(&whole, Depth::Default).unwrap();
    let volume = &report.volumes[0];
    assert_eq!(
        (volume.kind, volume.label.as_deref(), volume.uuid.as_deref()),
        (Kind::Exfat, Some("OK"), Some("1234-ABCD"))
    );

    let mut in_use = whole.clone();
    in_use[106] = 2;
    assert_eq!(judged(&in_use, Depth::Default), (Verdict::Unknown, vec!["fat-dirty"]));
    let mut changed = whole;
    changed[1000] ^= 1;
    assert_eq!(judged(&changed, Depth::Default), (Verdict::Damaged, vec!["exfat-boot-checksum"]));
    assert_eq!(judged(&exfat((4 << 20) + 512), Depth::Default), (Verdict::Damaged, vec!["fat-truncated"]));
}
