//! What nobody recognised is unknown, and what has a signature has its name: held against what blkid says.

use std::path::Path;

use fsprobe::{Depth, Kind, Report, Severity, Table, Verdict, check};
use stillpoint_tests::machine::ext4;
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::program::{run, run_with_input};

use crate::support::{Patched, code};

const MIB: usize = 1 << 20;

fn report(image: &Path) -> Report {
    check(&Patched::open(image), Depth::Default).unwrap()
}

/// Verdict of the disk, kind of its only volume, and the codes of everything that was seen.
fn said(report: &Report) -> (Verdict, Kind, Vec<&'static str>) {
    let [volume] = report.volumes.as_slice() else { panic!("{:#?}", report.volumes) };
    (report.verdict, volume.kind, report.findings.iter().chain(&volume.findings).map(code).collect())
}

fn overwrite(image: &Path, at: u64, length: usize) {
    use std::os::unix::fs::FileExt;
    std::fs::OpenOptions::new().write(true).open(image).unwrap().write_all_at(&vec![0; length], at).unwrap();
}

/// An image of this size that a program has written to.
fn made(images: &Images, program: &str, args: &[&str], size_bytes: u64) -> std::path::PathBuf {
    let image = images.blank(program, size_bytes);
    run(program, &[args, &[image.to_str().unwrap()]].concat());
    image
}

#[test]
fn bytes_that_nobody_recognises_are_unknown() {
    let text = std::fs::read("/etc/passwd").unwrap().repeat(20);
    let noise: Vec<u8> = (0..8 * MIB as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 | 1).collect();
    for image in [text, noise] {
        let report = check(&image, Depth::Default).unwrap();
        assert_eq!(said(&report), (Verdict::Unknown, Kind::Unknown, vec!["not-recognised"]));
    }
}

#[test]
fn a_filesystem_whose_first_sectors_are_lost_is_unknown_and_named() {
    let images = Images::new();
    let ext4 = made(&images, "mke2fs", &["-qF", "-t", "ext4"], 600 << 20);
    overwrite(&ext4, 1024, 1024);
    assert_eq!(said(&report(&ext4)), (Verdict::Unknown, Kind::Unknown, vec!["ext-superblock-lost"]));
    let small = made(&images, "mkfs.ext4", &["-qF"], 8 << 20);
    overwrite(&small, 1024, 1024);
    assert_eq!(said(&report(&small)), (Verdict::Unknown, Kind::Unknown, vec!["not-recognised"]));
    let xfs = made(&images, "mkfs.xfs", &["-q"], 400 << 20);
    overwrite(&xfs, 0, 512);
    assert_eq!(said(&report(&xfs)), (Verdict::Unknown, Kind::Unknown, vec!["xfs-superblock-lost"]));
    let ntfs = made(&images, "mkfs.ntfs", &["-QFq"], 16 << 20);
    overwrite(&ntfs, 0, 512);
    assert_eq!(said(&report(&ntfs)), (Verdict::Unknown, Kind::Unknown, vec!["ntfs-boot-sector-lost"]));
    let fat = made(&images, "mkfs.fat", &["-F32"], 64 << 20);
    overwrite(&fat, 0, 512);
    assert_eq!(said(&report(&fat)), (Verdict::Unknown, Kind::Unknown, vec!["fat-boot-sector-lost"]));
    let luks = images.blank("luks", 32 << 20);
    let format = ["luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
    run_with_input("cryptsetup", &[&format[..], &[luks.to_str().unwrap(), "-"]].concat(), "key");
    overwrite(&luks, 0, 4096);
    assert_eq!(said(&report(&luks)), (Verdict::Unknown, Kind::Unknown, vec!["luks-header-lost"]));
}

#[test]
fn only_a_boot_loaders_partition_may_hold_what_nobody_recognises() {
    for (script, verdict, expected) in [
        ("label: gpt\nsize=1MiB, type=21686148-6449-6E6F-744E-656564454649\n", Verdict::Consistent, "boot-code"),
        ("label: dos\nsize=1MiB, type=41\n", Verdict::Consistent, "boot-code"),
        ("label: gpt\nsize=1MiB, type=linux\n", Verdict::Unknown, "not-recognised"),
        ("label: dos\nsize=1MiB, type=83\n", Verdict::Unknown, "not-recognised"),
    ] {
        let images = Images::new();
        let image = images.blank("disk", 4 << 20);
        run_with_input("sfdisk", &["--quiet", "--no-tell-kernel", image.to_str().unwrap()], script);
        let mut image = std::fs::read(image).unwrap();
        image[MIB..MIB + 100].fill(7);
        let report = check(&image, Depth::Default).unwrap();
        assert_eq!(said(&report), (verdict, Kind::Unknown, vec![expected]), "{script}");
        assert_eq!(report.volumes[0].verdict, Verdict::Unknown, "{script}");
    }
}

#[test]
fn a_table_without_partitions_is_consistent_only_where_nothing_is_behind_it() {
    for script in ["label: dos\n", "label: gpt\n"] {
        let images = Images::new();
        let image = images.blank("disk", 4 << 20);
        run_with_input("sfdisk", &["--quiet", "--no-tell-kernel", image.to_str().unwrap()], script);
        let mut image = std::fs::read(image).unwrap();
        let judged = |image: &Vec<u8>| {
            let report = check(image, Depth::Default).unwrap();
            assert!(report.volumes.is_empty() && report.table != Table::None);
            (report.verdict, report.findings.iter().map(|it| (code(it), it.severity)).collect::<Vec<_>>())
        };
        assert_eq!(judged(&image), (Verdict::Consistent, vec![("no-partition", Severity::Note)]), "{script}");
        image[3 * MIB] = 1;
        assert_eq!(judged(&image), (Verdict::Unknown, vec![("no-partition", Severity::Unknown)]), "{script}");
    }
}

#[test]
fn what_is_empty_says_what_was_looked_at() {
    let images = Images::new();
    let detail = |size: u64| {
        let report = report(&images.blank("empty", size));
        assert_eq!(said(&report), (Verdict::Consistent, Kind::Empty, vec!["empty"]));
        report.volumes[0].findings[0].detail.clone()
    };
    assert_eq!(detail(1 << 20), "all of it is zero");
    assert!(detail(1 << 30).ends_with("the rest was not looked at"));
}

#[test]
fn a_disk_whose_table_was_zapped_is_not_empty() {
    let images = Images::new();
    let image = images.blank("zapped", 64 << 20);
    ext4::make_at(&image, 1 << 20, 62, &[]);
    let report = report(&image);
    assert_eq!(said(&report), (Verdict::Unknown, Kind::Unknown, vec!["data-behind-zeros"]));
    let detail = &report.volumes[0].findings[0].detail;
    assert!(detail.contains("the first MiB is zero, but the sector at byte 1049600 holds data"), "{detail}");
}

#[test]
fn a_member_of_an_array_that_keeps_its_metadata_at_the_end_is_not_empty() {
    let mut image = vec![0; 8 * MIB];
    let at = image.len() - 1024;
    image[at..at + 24].copy_from_slice(b"Intel Raid ISM Cfg Sig. ");
    let report = check(&image, Depth::Default).unwrap();
    assert_eq!(said(&report), (Verdict::Unknown, Kind::Other("isw_raid_member"), vec!["not-judged"]));
    image[at] = b'i';
    let report = check(&image, Depth::Default).unwrap();
    assert_eq!(said(&report), (Verdict::Unknown, Kind::Unknown, vec!["data-behind-zeros"]));
}

/// Bytes, and where they are.
type Places<'p> = &'p [(usize, &'p [u8])];

/// An image of 8 MiB with these bytes.
fn with(places: Places<'_>) -> Vec<u8> {
    let mut image = vec![0; 8 * MIB];
    for (at, bytes) in places {
        image[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    image
}

#[test]
fn what_has_a_signature_that_blkid_knows_has_its_name_and_is_not_judged() {
    let images = Images::new();
    let image = images.path("image");
    let named: &[(&str, Places<'_>)] = &[
        ("BitLocker", &[(0, b"\xebR\x90-FVE-FS-"), (11, &[0, 2, 8])]),
        ("DM_snapshot_cow", &[(0, b"SnAp\x01")]),
        ("LVM1_member", &[(0, b"HM\x01\0")]),
        ("VMFS_volume_member", &[(0x10_0000, &[0x0d, 0xd0, 1, 0xc0])]),
        ("bfs", &[(0, &[0xce, 0xfa, 0xad, 0x1b])]),
        ("drbd", &[(8 * MIB - 4096 + 60, &[0x83, 0x74, 0x02, 0x6b]), (8 * MIB - 4096 + 8, &[1; 8])]),
        ("f2fs", &[(1024, &[0x10, 0x20, 0xf5, 0xf2, 1])]),
        ("gfs2", &[(65536, &[1, 0x16, 0x19, 0x70, 0, 0, 0, 1]), (65536 + 24, &[0, 0, 7, 9, 0, 0, 7, 0x6c])]),
        ("iso9660", &[(0x8000, b"\x01CD001\x01"), (0x8800, b"\xffCD001\x01")]),
        ("ocfs2", &[(2048, b"OCFSV2")]),
        ("reiserfs", &[(65536 + 52, b"ReIsEr2Fs"), (65536 + 44, &[0, 16])]),
        ("romfs", &[(0, b"-rom1fs-")]),
        ("squashfs", &[(0, b"hsqs"), (28, &[4])]),
        ("udf", &[(0x8000, b"\0BEA01\x01"), (0x8800, b"\0NSR02\x01"), (0x9000, b"\0TEA01\x01"), (512 * 512, &[2, 0])]),
        ("ufs", &[(8192 + 1372, &[0x54, 0x19, 1, 0])]),
        ("vdo", &[(0, b"dmvdo001")]),
        ("vxfs", &[(1024, &[0xf5, 0xfc, 1, 0xa5])]),
        ("zonefs", &[(0, b"SFOZ")]),
    ];
    let mut other = Vec::new();
    for (name, places) in named {
        let bytes = with(places);
        std::fs::write(&image, &bytes).unwrap();
        let report = check(&bytes, Depth::Default).unwrap();
        assert_eq!(said(&report), (Verdict::Unknown, Kind::Other(name), vec!["not-judged"]));
        let of_blkid =
            std::process::Command::new("blkid").args(["-p", "-o", "value", "-s", "TYPE"]).arg(&image).output();
        let of_blkid = String::from_utf8(of_blkid.unwrap().stdout).unwrap();
        if of_blkid.trim() != *name {
            other.push((*name, of_blkid));
        }
    }
    // Of these it demands fields behind the signature that are not made up here.
    let demanding = ["gfs2", "ocfs2", "reiserfs", "udf"];
    assert!(other.iter().all(|(name, said)| demanding.contains(name) && said.is_empty()), "{other:?}");
}

#[test]
fn what_is_a_file_and_no_raw_disk_says_what_helps() {
    let images = Images::new();
    let packed = |program: &str, extension: &str| {
        let file = images.path("packed");
        std::fs::write(&file, vec![7; 1000]).unwrap();
        run(program, &["-kf", file.to_str().unwrap()]);
        std::fs::read(images.path(format!("packed.{extension}"))).unwrap()
    };
    run("tar", &["-cf", images.path("tar").to_str().unwrap(), "/etc/passwd"]);
    for (name, image, helps) in [
        ("qcow2", with(&[(0, b"QFI\xfb\0\0\0\x03")]), "qemu-img convert"),
        ("qcow", with(&[(0, b"QFI\xfb\0\0\0\x01")]), "qemu-img convert"),
        ("vmdk", with(&[(0, b"KDMV\x01\0\0\0")]), "qemu-nbd"),
        ("vhdx", with(&[(0, b"vhdxfile")]), "qemu-nbd"),
        ("vhd", with(&[(0, b"conectix")]), "qemu-nbd"),
        ("vdi", with(&[(0, b"<<< Oracle VM"), (64, &[0x7f, 0x10, 0xda, 0xbe])]), "qemu-nbd"),
        ("vma", with(&[(0, b"VMA\0\0\0\0\x01")]), "vma extract"),
        ("gzip", packed("gzip", "gz"), "unpack it"),
        ("xz", packed("xz", "xz"), "unpack it"),
        ("bzip2", packed("bzip2", "bz2"), "unpack it"),
        ("tar", std::fs::read(images.path("tar")).unwrap(), "unpack it"),
    ] {
        let mut image = image;
        image.resize(image.len().max(512), 0);
        let report = check(&image, Depth::Default).unwrap();
        assert_eq!(said(&report), (Verdict::Unknown, Kind::Other(name), vec!["not-a-raw-disk"]));
        let detail = &report.volumes[0].findings[0].detail;
        assert!(detail.contains(helps) && detail.contains(name), "{detail}");
    }
}

#[test]
fn filesystems_without_a_long_signature_are_named() {
    let images = Images::new();
    for args in [&["-1"][..], &["-2"], &["-3"]] {
        let image = made(&images, "mkfs.minix", args, 2 << 20);
        assert_eq!(report(&image).volumes[0].kind, Kind::Other("minix"), "{args:?}");
    }
    let cramfs = images.path("cramfs");
    std::fs::create_dir(images.path("folder")).unwrap();
    run("mkfs.cramfs", &[images.path("folder").to_str().unwrap(), cramfs.to_str().unwrap()]);
    assert_eq!(report(&cramfs).volumes[0].kind, Kind::Other("cramfs"));
}

#[test]
fn a_table_in_front_of_a_files_signature_counts() {
    let images = Images::new();
    let image = images.blank("disk", 4 << 20);
    run_with_input("sfdisk", &["--quiet", "--no-tell-kernel", image.to_str().unwrap()], "label: gpt\nsize=1MiB\n");
    let mut image = std::fs::read(image).unwrap();
    image[..4].copy_from_slice(&[0x28, 0xb5, 0x2f, 0xfd]);
    let report = check(&image, Depth::Default).unwrap();
    assert_eq!((report.table, said(&report)), (Table::Gpt, (Verdict::Consistent, Kind::Empty, vec!["empty"])));
}
