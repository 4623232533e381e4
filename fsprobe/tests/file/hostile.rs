//! A filesystem that says what is not so: nothing panics, nothing is read that its checksums do not vouch for.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use fsprobe::{FileError, Kind, ReadAt};
use proptest::prelude::*;
use stillpoint_tests::machine::image::Images;
use stillpoint_tests::machine::mount::Mount;

use crate::support::{Image, content, inode_of, xfs, xfs_db};

/// An XFS with a small file, and one whose extents are in a tree; their inode numbers.
fn with_two_files(images: &Images) -> (PathBuf, u64, u64) {
    let image = xfs(images, "300M", &[]);
    let mount = Mount::image(&image, "rw");
    fs::write(mount.path("small"), "small").unwrap();
    let many = File::create(mount.path("many")).unwrap();
    for piece in 0..300 {
        many.write_all_at(&[piece as u8 | 1; 4096], piece * 8192).unwrap();
    }
    let inodes = [inode_of(&mount.path("small")), inode_of(&mount.path("many"))];
    drop((many, mount));
    (image, inodes[0], inodes[1])
}

fn place_of(image: &std::path::Path, commands: &[&str]) -> u64 {
    let said = xfs_db(image, commands);
    let number = said.split("byte offset ").nth(1).and_then(|rest| rest.split([',', ' ', '\n']).next());
    number.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
}

fn bad(volume: &dyn ReadAt, inode: u64) -> String {
    match content(volume, Kind::Xfs, inode) {
        Err(FileError::Bad { detail }) => detail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_changed_byte_of_an_inode_or_of_the_trees_that_lead_to_it_is_noticed() {
    let images = Images::new();
    let (image, small, many) = with_two_files(&images);
    let inode_at = place_of(&image, &[&format!("inode {small}"), "addr"]);
    let leaf_at = place_of(&image, &[&format!("inode {many}"), "addr u3.bmbt.ptrs[1]", "addr"]);
    let tree_at = place_of(&image, &["agi 0", "addr root", "addr"]);
    for (inode, at, length) in [(small, inode_at, 512_usize), (many, leaf_at, 4096), (small, tree_at, 4096)] {
        for byte in (0..length).step_by(7) {
            let mut volume = Image::open(&image);
            let mut old = [0];
            volume.read_exact_at(&mut old, at + byte as u64).unwrap();
            volume.changed.push((at + byte as u64, old[0] ^ 0x10));
            assert!(content(&volume, Kind::Xfs, inode).is_err(), "byte {byte} of {at}");
        }
    }
}

#[test]
fn a_file_in_the_realtime_part_is_refused() {
    let images = Images::new();
    let (image, small, _) = with_two_files(&images);
    xfs_db(&image, &[&format!("inode {small}"), "write core.realtime 1"]);
    assert!(bad(&Image::open(&image), small).ends_with("realtime part, which is not read here"));
}

#[test]
fn a_tree_of_inodes_that_begins_elsewhere_is_refused() {
    let images = Images::new();
    let (image, small, _) = with_two_files(&images);
    // Also what its own verifier refuses.
    for (write, why) in [
        ("write -d level 200", "its tree has 200 levels"),
        ("write -d level 2", "magic or level is wrong"),
        ("write -d root 1", "magic or level is wrong"),
        ("write -d root 99999999", "it is not in the group"),
    ] {
        xfs_db(&image, &["agi 0", write]);
        let refused = bad(&Image::open(&image), small);
        assert!(refused.ends_with(why), "{write}: {refused}");
    }
}

#[test]
fn more_extents_than_the_inode_counts_are_refused() {
    let images = Images::new();
    let (image, _, many) = with_two_files(&images);
    xfs_db(&image, &[&format!("inode {many}"), "write core.nextents 299"]);
    assert!(bad(&Image::open(&image), many).ends_with("it has more extents than 299"));
}

#[test]
fn a_tree_that_comes_back_to_the_same_leaf_is_refused() {
    let images = Images::new();
    let (image, _, many) = with_two_files(&images);
    let inode = format!("inode {many}");
    let said = xfs_db(&image, &[&inode, "print u3.bmbt.ptrs[1]"]);
    let first = said.trim().rsplit([':', ' ']).next().unwrap();
    xfs_db(&image, &[&inode, &format!("write u3.bmbt.ptrs[2] {first}")]);
    assert!(bad(&Image::open(&image), many).contains("overlaps the last one"));
}

#[test]
fn a_leaf_of_another_file_is_refused() {
    let images = Images::new();
    let (image, _, many) = with_two_files(&images);
    xfs_db(&image, &[&format!("inode {many}"), "addr u3.bmbt.ptrs[1]", "write owner 131"]);
    assert!(bad(&Image::open(&image), many).contains("of inode 131"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000), inode in any::<u64>()) {
        for (kind, magic_at, magic) in [(Kind::Xfs, 0, &b"XFSB\0\0\x10\0"[..]), (Kind::Ext4, 1080, b"\x53\xef")] {
            let mut bytes = bytes.clone();
            if let Some(place) = bytes.get_mut(magic_at..magic_at + magic.len()) {
                place.copy_from_slice(magic);
            }
            content(&bytes, kind, inode).unwrap_err();
        }
    }
}
