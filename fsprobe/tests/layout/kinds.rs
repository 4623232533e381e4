//! Kinds of volumes, held against what the makers of each write and what blkid says.

use fsprobe::{Extent, Kind, Table, allocated, layout};
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::program::run;

/// The kind of what `program` writes, once blkid has named it `blkid_type`.
fn kind_of(program: &str, args: &[&str], size_mib: u64, blkid_type: &str) -> Kind {
    let images = Images::new();
    let image = images.blank("disk", size_mib << 20);
    let image = image.to_str().unwrap();
    run(program, &[args, &[image]].concat());
    assert_eq!(run("blkid", &["-p", "-o", "value", "-s", "TYPE", image]).trim(), blkid_type);
    let disk = layout(&std::fs::read(image).unwrap()).unwrap();
    assert_eq!((disk.table, disk.volumes.len()), (Table::None, 1), "{program} {args:?}");
    assert_eq!(disk.volumes[0].path, "0");
    disk.volumes[0].kind
}

#[test]
fn a_bare_filesystem_has_the_kind_that_blkid_says() {
    assert_eq!(kind_of("mkfs.ext2", &["-q"], 8, "ext2"), Kind::Ext2);
    assert_eq!(kind_of("mkfs.ext3", &["-q"], 8, "ext3"), Kind::Ext3);
    assert_eq!(kind_of("mkfs.ext4", &["-q"], 8, "ext4"), Kind::Ext4);
    assert_eq!(kind_of("mkfs.ext4", &["-q", "-O", "^has_journal"], 8, "ext4"), Kind::Ext4);
    assert_eq!(kind_of("mke2fs", &["-q", "-F", "-O", "journal_dev"], 8, "jbd"), Kind::ExtJournal);
    assert_eq!(kind_of("mkfs.xfs", &["-q"], 300, "xfs"), Kind::Xfs);
    assert_eq!(kind_of("mkfs.ntfs", &["-Q", "-F", "-q"], 8, "ntfs"), Kind::Ntfs);
    assert_eq!(kind_of("mkfs.fat", &["-F12"], 2, "vfat"), Kind::Fat);
    assert_eq!(kind_of("mkfs.fat", &["-F16"], 32, "vfat"), Kind::Fat);
    assert_eq!(kind_of("mkfs.fat", &["-F32"], 64, "vfat"), Kind::Fat);
    assert_eq!(kind_of("mkswap", &["-q"], 8, "swap"), Kind::Swap);
    assert_eq!(kind_of("mkswap", &["-q", "-p", "65536"], 8, "swap"), Kind::Swap);
}

#[test]
fn zeros_are_empty_and_anything_else_is_unknown() {
    let mut image = vec![0_u8; 4 << 20];
    assert_eq!(layout(&image).unwrap().volumes[0].kind, Kind::Empty);
    image[300_000] = 1;
    assert_eq!(layout(&image).unwrap().volumes[0].kind, Kind::Unknown);
}

/// Swap space of a MiB, as mkswap makes it.
fn swap_space() -> Vec<u8> {
    let images = Images::new();
    let image = images.blank("swap", 1 << 20);
    run("mkswap", &["-q", image.to_str().unwrap()]);
    std::fs::read(image).unwrap()
}

#[test]
fn of_swap_only_the_header_page_is_copied_unless_a_system_hibernates_in_it() {
    let mut image = swap_space();
    let disk = layout(&image).unwrap();
    assert_eq!(allocated(&image, &disk).unwrap(), [Extent::new(0, 4096)]);

    // The kernel's own, and TuxOnIce.
    for signature in [*b"S1SUSPEND\0", [0xed, 0xc3, 0x02, 0xe9, 0x98, 0x56, 0xe5, 0x0c, 0, 0]] {
        image[4086..4096].copy_from_slice(&signature);
        let disk = layout(&image).unwrap();
        assert_eq!(disk.volumes[0].kind, Kind::Swap);
        assert_eq!(allocated(&image, &disk).unwrap(), [Extent::new(0, 1 << 20)]);
    }
}

#[test]
fn what_lies_behind_the_last_page_of_swap_is_copied() {
    let mut image = swap_space();
    image.resize(3 << 20, 7);
    let disk = layout(&image).unwrap();
    assert_eq!(allocated(&image, &disk).unwrap(), [Extent::new(0, 4096), Extent::new(1 << 20, 2 << 20)]);
}

#[test]
fn a_signature_of_swap_without_a_header_is_not_swap() {
    let mut image = swap_space();
    image[1024] = 2;
    let disk = layout(&image).unwrap();
    assert_eq!(disk.volumes[0].kind, Kind::Unknown);
    assert_eq!(allocated(&image, &disk).unwrap(), [Extent::new(0, 1 << 20)]);
}

#[test]
fn a_volume_with_two_signatures_is_said_and_copied_whole() {
    let mut image = swap_space();
    image[..6].copy_from_slice(b"LUKS\xba\xbe");
    let disk = layout(&image).unwrap();
    assert_eq!(disk.volumes[0].findings[0].code, "several-signatures");
    assert_eq!(allocated(&image, &disk).unwrap(), [Extent::new(0, 1 << 20)]);
}

#[test]
fn of_ext4_only_blocks_in_use_are_copied_unless_it_is_damaged() {
    let images = Images::new();
    let image = images.blank("disk", 64 << 20);
    run("mkfs.ext4", &["-q", image.to_str().unwrap()]);
    let mut image = std::fs::read(image).unwrap();
    let copied = |image: &Vec<u8>| -> u64 {
        let extents = allocated(image, &layout(image).unwrap()).unwrap();
        extents.iter().map(|extent| extent.size_bytes).sum()
    };
    assert!(copied(&image) < 16 << 20);
    image[1024 + 0x10] ^= 1; // s_free_inodes_count: the superblock's checksum no longer holds.
    assert_eq!(copied(&image), 64 << 20);
}
