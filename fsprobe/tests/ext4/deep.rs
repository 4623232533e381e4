//! The deep check against e2fsck: sound where `e2fsck -fp` has nothing to repair, damaged where it has.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use fsprobe::{Depth, Ext4Check, ReadAt, Verdict, ext4};
use stillpoint_tests::machine::mount::Mount;
use stillpoint_tests::machine::program::{run, run_for_code};

use crate::image::{Made, STILL};
use crate::{FLAVOURS, codes, is_mountable};

pub fn deep(volume: &dyn ReadAt) -> Ext4Check {
    ext4::check(volume, Depth::Deep)
}

/// What e2fsck has to say of a copy: after a replay and the release of orphans, which `-p` does without a word.
fn assert_e2fsck_finds_nothing(made: &Made, what: &str) {
    let copy = made.copy();
    let path = copy.path.to_str().unwrap();
    let preen = run_for_code("e2fsck", &["-fp", path], &[0, 1]);
    let said = String::from_utf8_lossy(&preen.stdout);
    // What it does without a repair.
    const ROUTINE: &[&str] = &["recovering journal", "rphan", "CLEARED", "files (", "runcat"];
    for line in said.lines().filter(|line| !line.is_empty()) {
        assert!(ROUTINE.iter().any(|word| line.contains(word)), "{what}: e2fsck repaired: {said}");
    }
    run("e2fsck", &["-fn", path]);
}

/// A tree with all kinds of files.
pub fn populate(root: &Path) {
    let content: Vec<u8> = (0..200_000_u32).map(|i| (i / 7) as u8).collect();
    for i in 0..300 {
        let dir = root.join(format!("dir-{}/sub-{}", i % 7, i % 3));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("file-with-a-longer-name-{i}")), &content[..(i * 311) % 30_000]).unwrap();
        if i % 10 == 0 {
            symlink(format!("target-{i}"), dir.join(format!("fast-{i}"))).unwrap();
            symlink("x".repeat(100 + i), dir.join(format!("slow-{i}"))).unwrap();
            fs::hard_link(dir.join(format!("file-with-a-longer-name-{i}")), root.join(format!("hard-{i}"))).unwrap();
        }
    }
    for i in 0..700 {
        fs::write(root.join(format!("dir-1/many-{i}-{}", "n".repeat(i % 60))), b"").unwrap();
    }
    fs::create_dir(root.join("small")).unwrap();
    fs::write(root.join("small/tiny"), b"a few bytes").unwrap();
    fs::write(root.join("small/more"), &content[..120]).unwrap();
    fs::write(root.join("big"), &content).unwrap();
    // Pieces with holes between them make an extent tree or block map of more than one level.
    let sparse = File::create(root.join("sparse")).unwrap();
    for i in 0..600_u64 {
        std::os::unix::fs::FileExt::write_at(&sparse, b"piece", i * 37 * 1024).unwrap();
    }
    run("mkfifo", &[root.join("fifo").to_str().unwrap()]);
    run("mknod", &[root.join("device").to_str().unwrap(), "c", "1", "3"]);
}

/// Attributes in the inode, in a block, and in a block that inodes share.
fn attributes(root: &Path) {
    for (name, length) in [("big", 20), ("sparse", 600), ("small/tiny", 30), ("hard-0", 600)] {
        let path = root.join(name);
        run("setfattr", &["-n", "user.attribute", "-v", &"v".repeat(length), path.to_str().unwrap()]);
    }
}

fn written(flavour: &[&str]) -> (Made, Mount) {
    let made = Made::mke2fs(64, flavour);
    let has_journal = !flavour.contains(&"ext2");
    let mounted = made.mount(&if has_journal { format!("user_xattr,{STILL}") } else { "user_xattr".to_owned() });
    populate(&mounted.point);
    attributes(&mounted.point);
    for i in (0..300).step_by(4) {
        fs::remove_file(mounted.point.join(format!("dir-{}/sub-{}/file-with-a-longer-name-{i}", i % 7, i % 3)))
            .unwrap();
    }
    (made, mounted)
}

#[test]
fn a_filesystem_of_any_flavour_that_mke2fs_filled_is_sound_as_e2fsck_says() {
    let tree = tempfile::tempdir().unwrap();
    populate(tree.path());
    for flavour in FLAVOURS {
        let made = Made::mke2fs(64, &[flavour, &["-N", "4096", "-d", tree.path().to_str().unwrap()][..]].concat());
        let what = flavour.join(" ");
        if what.contains("quota") {
            // mke2fs does not count the files that it copies in.
            run_for_code("e2fsck", &["-fy", made.path.to_str().unwrap()], &[0, 1]);
        }
        let found = deep(&made.open());
        assert_eq!((found.verdict, codes(&found)), (Verdict::Consistent, vec![]), "{what}: {:#?}", found.findings);
        assert_e2fsck_finds_nothing(&made, &what);
    }
}

#[test]
fn what_the_kernel_wrote_is_sound_live_frozen_and_unmounted_as_e2fsck_says() {
    for flavour in FLAVOURS.iter().filter(|flavour| is_mountable(flavour)) {
        let what = flavour.join(" ");
        let (made, mounted) = written(flavour);
        let held: Vec<File> = (0..3)
            .map(|i| {
                let path = mounted.point.join(format!("deleted-{i}"));
                mounted.write_synced(&format!("deleted-{i}"), &[7; 10_000]);
                let file = File::open(&path).unwrap();
                fs::remove_file(path).unwrap();
                file
            })
            .collect();
        mounted.write_synced("last", b"content");
        if !flavour.contains(&"ext2") {
            let live = made.copy();
            let found = deep(&live.open());
            assert_eq!(found.verdict, Verdict::Replay, "{what}: {:#?}", found.findings);
            // Fast commits, which are not replayed, know of the deletion first.
            assert!(found.ext4.unwrap().orphans > 0 || what.contains("fast_commit"), "{what}");
            // e2fsck 1.47.0 cannot replay a fast commit that adds a name to a full directory block, and gives up.
            if !what.contains("fast_commit") {
                assert_e2fsck_finds_nothing(&live, &what);
            }

            mounted.freeze();
            let frozen = made.copy();
            mounted.thaw();
            let found = deep(&frozen.open());
            assert_eq!((found.verdict, codes(&found)), (Verdict::Consistent, vec![]), "{what}: {:#?}", found.findings);
            assert_e2fsck_finds_nothing(&frozen, &what);
        }
        drop(held);
        drop(mounted);
        let found = deep(&made.open());
        assert_eq!((found.verdict, codes(&found)), (Verdict::Consistent, vec![]), "{what}: {:#?}", found.findings);
        assert_e2fsck_finds_nothing(&made, &what);
    }
}

#[test]
fn an_index_of_two_levels_by_any_hash_is_sound_as_e2fsck_says() {
    for (hash, flags) in [("half_md4", 1), ("half_md4", 2), ("tea", 1), ("tea", 2), ("legacy", 1), ("legacy", 2)] {
        let made = Made::mke2fs(64, &["-t", "ext4", "-b", "1024", "-N", "8192"]);
        run("tune2fs", &["-E", &format!("hash_alg={hash}"), made.path.to_str().unwrap()]);
        // 1 is signed_directory_hash, 2 unsigned_directory_hash.
        made.debugfs(&format!("ssv flags {flags}"));
        let mounted = made.mount("rw");
        for i in 0..3000 {
            let name = format!("{i}-näme-{}", "x".repeat(i % 150));
            fs::write(mounted.point.join(name), b"").unwrap();
        }
        drop(mounted);
        let what = format!("{hash} {flags}");
        let levels = made.debugfs("htree_dump /");
        assert!(levels.contains("Indirect levels: 1"), "{what}: {levels}");
        let found = deep(&made.open());
        assert_eq!((found.verdict, codes(&found)), (Verdict::Consistent, vec![]), "{what}: {:#?}", found.findings);
        assert_e2fsck_finds_nothing(&made, &what);
    }
}

#[test]
fn attributes_in_inodes_of_their_own_are_sound_as_e2fsck_says() {
    let made = Made::mke2fs(64, &["-t", "ext4", "-O", "ea_inode", "-b", "1024"]);
    let mounted = made.mount("rw,user_xattr");
    for (name, length) in [("a", 5000), ("b", 5000), ("c", 20_000)] {
        let path = mounted.point.join(name);
        fs::write(&path, b"content").unwrap();
        let value = "v".repeat(length);
        run("setfattr", &["-n", "user.large", "-v", &value, path.to_str().unwrap()]);
    }
    drop(mounted);
    let found = deep(&made.open());
    assert_eq!((found.verdict, codes(&found)), (Verdict::Consistent, vec![]), "{:#?}", found.findings);
    assert_e2fsck_finds_nothing(&made, "ea_inode");
}

#[test]
fn an_index_of_encrypted_names_is_held_against_their_ciphertext() {
    let made = Made::mke2fs(32, &["-t", "ext4", "-b", "1024", "-O", "encrypt,^metadata_csum,^uninit_bg"]);
    let mounted = made.mount("rw,test_dummy_encryption=v2");
    fs::create_dir(mounted.point.join("dir")).unwrap();
    for i in 0..300 {
        fs::write(mounted.point.join(format!("dir/name-{i}-{}", "x".repeat(40))), format!("{i}")).unwrap();
    }
    symlink("target", mounted.point.join("dir/link")).unwrap();
    drop(mounted);
    assert!(made.debugfs("stat dir").contains("Flags: 0x81800"), "it is encrypted and has an index");
    let found = deep(&made.open());
    assert_eq!((found.verdict, codes(&found)), (Verdict::Consistent, vec![]), "{:#?}", found.findings);
    assert_e2fsck_finds_nothing(&made, "encrypt");

    let mut bytes = made.bytes();
    // One other name may belong to the same block; not each of five.
    for number in 1..=5 {
        let block: usize = made.debugfs(&format!("bmap dir {number}")).trim().parse().unwrap();
        bytes[block * 1024 + 8] ^= 0xff;
    }
    assert_eq!(codes(&deep(&bytes)), ["htree-hash"]);
}

#[test]
fn an_index_of_casefolded_names_is_not_held_against_them_and_that_is_said() {
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir(tree.path().join("dir")).unwrap();
    for i in 0..300 {
        fs::write(tree.path().join(format!("dir/ÄName-{i}-Größe-{}", "x".repeat(40))), b"").unwrap();
    }
    let options = ["-t", "ext4", "-b", "1024", "-O", "casefold,^metadata_csum,^uninit_bg"];
    let made = Made::mke2fs(16, &[&options[..], &["-d", tree.path().to_str().unwrap()]].concat());
    // e2fsck then hashes the folded names.
    made.debugfs("sif dir flags 0x40080000");
    run_for_code("e2fsck", &["-fyD", made.path.to_str().unwrap()], &[0, 1]);
    let found = deep(&made.open());
    assert_eq!(
        (found.verdict, codes(&found)),
        (Verdict::Consistent, vec!["names-not-hashed"]),
        "{:#?}",
        found.findings
    );
    assert_e2fsck_finds_nothing(&made, "casefold");

    // By the names as they are written, the index is wrong.
    made.debugfs("sif dir flags 0x81000");
    assert_eq!(codes(&deep(&made.open())), ["htree-hash"]);
}

#[test]
fn blocks_that_files_share_on_purpose_are_sound() {
    let made = Made::mke2fs(8, &["-t", "ext4", "-b", "1024", "-O", "^has_journal,^metadata_csum,^extent,^64bit"]);
    let hello = made.dir.path().join("hello");
    std::fs::write(&hello, "hello\n").unwrap();
    for file in ["a", "b"] {
        made.debugfs(&format!("write {} {file}", hello.display()));
    }
    let block = made.debugfs("bmap a 0").trim().to_owned();
    made.debugfs(&format!("sif b block[0] {block}"));
    let claimed_twice = |found: &Ext4Check| found.findings.iter().any(|it| it.code == "block-claimed-twice");
    assert!(claimed_twice(&deep(&made.open())), "without the feature it is damage");
    made.debugfs("feature shared_blocks");
    run_for_code("e2fsck", &["-fy", made.path.to_str().unwrap()], &[0, 1]);
    assert_e2fsck_finds_nothing(&made, "shared_blocks");
    let found = deep(&made.open());
    assert_eq!((found.verdict, found.findings.len()), (Verdict::Consistent, 0), "{:#?}", found.findings);
}
