//! Fast commits: what they say was done, done to an overlay, against the mount that did it.
//!
//! Neither the kernel's own replay nor that of e2fsprogs can be the oracle: measured with Linux 6.18 and e2fsprogs 1.47, the
//! one leaves wrong link counts behind where a directory was made or removed, and mounts nothing that has a deleted file in
//! it that was still open; the other loses directories.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use fsprobe::ext4::files::Follow;
use fsprobe::ext4::{FileType, Filesystem};
use fsprobe::{Depth, ReadAt, Severity, Verdict, ext4};
use rustix::fs::{FallocateFlags, fallocate};
use stillpoint_tests::machine::mount::Mount;
use stillpoint_tests::machine::program::{run, run_for_code};

use crate::code;
use crate::image::Made;

fn filesystem(options: &[&str]) -> Made {
    Made::mke2fs(64, &[&["-t", "ext4", "-O", "fast_commit"], options].concat())
}

/// A path, its inode, mode, links, and content.
type Tree = BTreeMap<PathBuf, (u64, u32, u64, Vec<u8>)>;

/// Everything below `folder` of the mount.
fn mounted_tree(root: &Path, folder: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let of = (metadata.ino(), metadata.mode(), metadata.nlink(), content);
        tree.insert(path.strip_prefix(root).unwrap().to_owned(), of);
        if metadata.is_dir() {
            mounted_tree(root, &path, tree);
        }
    }
}

/// Everything below `folder` of the overlay.
fn read_tree(filesystem: &Filesystem<'_>, folder: &Path, tree: &mut Tree) {
    let node = filesystem.lookup(folder.as_os_str().as_bytes(), Follow::AllButLast).unwrap();
    for entry in filesystem.entries(&node).unwrap().map(Result::unwrap) {
        let path = folder.join(OsStr::from_bytes(&entry.name));
        let node = filesystem.node(entry.inode).unwrap();
        let mut content = Vec::new();
        if node.file_type == FileType::Regular {
            content.resize(node.inode.i_size as usize, 1);
            filesystem.content(&node).unwrap().read_exact_at(&mut content, 0).unwrap();
        }
        let inode = &node.inode;
        tree.insert(path.clone(), (inode.number.into(), inode.i_mode.into(), inode.i_links_count.into(), content));
        if node.file_type == FileType::Directory {
            read_tree(filesystem, &path, tree);
        }
    }
}

/// The live copy shows the files of the mount, and is sound by our deep check and by e2fsck's. Returns how many fast
/// commits there were.
fn assert_replays_to(live: &Made, mounted: &Mount, what: &str) -> u32 {
    let image = live.open();
    let found = ext4::check(&image, Depth::Deep);
    let graver: Vec<_> = found.findings.iter().filter(|it| it.severity >= Severity::Unknown).collect();
    assert_eq!(graver.iter().map(|it| code(it)).collect::<Vec<_>>(), ["journal-needs-replay"], "{what}: {graver:#?}");
    assert_eq!(found.verdict, Verdict::Replay, "{what}");

    let opened = ext4::open(&image).unwrap();
    let (mut ours, mut kernels) = (Tree::new(), Tree::new());
    read_tree(&opened.filesystem().unwrap(), Path::new(""), &mut ours);
    mounted_tree(&mounted.point, &mounted.point, &mut kernels);
    let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&kernels), "{what}");
    for (path, kernels) in &kernels {
        assert!(
            &ours[path] == kernels,
            "{what}: {}: {:?}, not {:?}",
            path.display(),
            shown(&ours[path]),
            shown(kernels)
        );
    }

    let exported = live.copy();
    let file = File::options().write(true).open(&exported.path).unwrap();
    let mut block = vec![0; 65536];
    for offset in (0..image.size_bytes()).step_by(block.len()) {
        opened.volume.read_exact_at(&mut block, offset).unwrap();
        file.write_all_at(&block, offset).unwrap();
    }
    let exported = exported.path.to_str().unwrap();
    if opened.filesystem().unwrap().superblock.s_last_orphan != 0 {
        // It takes orphans for errors, unless it may free them.
        run_for_code("e2fsck", &["-fp", exported], &[0, 1]);
    }
    run("e2fsck", &["-fn", exported]);
    found.ext4.unwrap().fast_commits
}

fn shown((inode, mode, links, content): &(u64, u32, u64, Vec<u8>)) -> String {
    format!("inode {inode}, mode {mode:#o}, {links} links, {} bytes", content.len())
}

/// A full commit, after which fast ones can follow.
fn commit_fully(mounted: &Mount) {
    mounted.sync();
    mounted.write_synced("first", b"the first fsync after a full commit begins a transaction");
}

/// Numbers without a pattern, the same ones each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// One change; whatever it writes is synced.
fn change(root: &Path, dice: &mut Dice, held: &mut Vec<File>) {
    let folder = |dice: &mut Dice| root.join(["", "a", "b", "a/c", "made"][dice.roll(5)]);
    let name = |dice: &mut Dice| folder(dice).join(format!("file-with-a-name-{}", dice.roll(40)));
    let path = name(dice);
    match dice.roll(12) {
        0..4 => {
            let Ok(file) = File::options().create(true).truncate(false).write(true).open(&path) else { return };
            for _ in 0..=dice.roll(3) {
                file.write_all_at(&vec![dice.roll(256) as u8; 1 + dice.roll(9000)], dice.roll(200_000) as u64).unwrap();
            }
            file.sync_all().unwrap();
        }
        4 => drop(fs::rename(&path, name(dice))),
        5 => drop(fs::hard_link(&path, name(dice))),
        6 => drop(fs::remove_file(&path)),
        7 => {
            let Ok(file) = File::options().write(true).open(&path) else { return };
            file.set_len(dice.roll(100_000) as u64).unwrap();
            file.sync_all().unwrap();
        }
        8 => drop(fs::create_dir(root.join("made"))),
        9 => drop(fs::remove_dir_all(root.join("made"))),
        10 => {
            let Ok(file) = File::options().write(true).open(&path) else { return };
            let flags = [FallocateFlags::empty(), FallocateFlags::KEEP_SIZE][dice.roll(2)];
            fallocate(&file, flags, dice.roll(100_000) as u64, 1 + dice.roll(50_000) as u64).unwrap();
            file.sync_all().unwrap();
        }
        // Deleted while it is open, as a database's temporary files are, and closed sometime.
        _ => {
            if dice.roll(3) == 0 {
                held.pop();
            }
            let Ok(file) = File::options().write(true).open(&path) else { return };
            fs::remove_file(&path).unwrap();
            held.push(file);
        }
    }
}

const FLAVOURS: &[&[&str]] =
    &[&["-b", "4096"], &["-b", "1024"], &["-b", "1024", "-O", "^metadata_csum,^64bit"], &["-b", "2048", "-I", "128"]];

#[test]
fn any_changes_are_replayed_to_what_they_left() {
    let mut fast_commits = 0;
    for (seed, flavour) in (0..6).flat_map(|seed| FLAVOURS.iter().map(move |flavour| (seed, flavour))) {
        let made = filesystem(flavour);
        let mounted = made.mount("rw");
        let mut dice = Dice(seed);
        let mut held = Vec::new();
        for folder in ["a", "b", "a/c"] {
            fs::create_dir_all(mounted.point.join(folder)).unwrap();
        }
        for _ in 0..60 {
            change(&mounted.point, &mut dice, &mut held);
        }
        if seed % 2 == 0 {
            held.clear();
        }
        commit_fully(&mounted);
        for _ in 0..=dice.roll(60) {
            change(&mounted.point, &mut dice, &mut held);
        }
        mounted.write_synced("last", b"whatever was done before is committed with this");
        fast_commits += assert_replays_to(&made.copy(), &mounted, &format!("{flavour:?}, seed {seed}"));
    }
    assert!(fast_commits > 100, "{fast_commits} fast commits only");
}

#[test]
fn a_directory_that_grows_gets_the_blocks_that_it_needs() {
    for flavour in FLAVOURS {
        let made = filesystem(flavour);
        let mounted = made.mount("rw");
        let folder = mounted.point.join("folder");
        fs::create_dir(&folder).unwrap();
        // With an index already.
        for i in 0..300 {
            fs::write(folder.join(format!("{}-{i}", "x".repeat(60))), b"").unwrap();
        }
        commit_fully(&mounted);
        for i in 300..370 {
            fs::write(folder.join(format!("{}-{i}", "x".repeat(200))), b"").unwrap();
        }
        mounted.write_synced("last", b"x");
        assert!(assert_replays_to(&made.copy(), &mounted, &format!("{flavour:?}")) > 0);
    }
}

#[test]
fn a_directory_in_many_pieces_gets_a_new_tree() {
    let made = filesystem(&["-b", "1024"]);
    let mounted = made.mount("rw");
    let folders = ["one", "two"].map(|folder| mounted.point.join(folder));
    folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
    // In turn, so that their blocks lie in turn, too.
    for i in 0..300 {
        fs::write(folders[i % 2].join(format!("{}-{i}", "x".repeat(200))), b"").unwrap();
    }
    commit_fully(&mounted);
    fs::write(folders[0].join("new"), b"").unwrap();
    mounted.write_synced("last", b"x");
    assert!(assert_replays_to(&made.copy(), &mounted, "two folders") > 0);
}

#[test]
fn a_file_in_many_pieces_gets_a_tree() {
    for flavour in FLAVOURS {
        let made = filesystem(flavour);
        let mounted = made.mount("rw");
        let file = File::create(mounted.point.join("pieces")).unwrap();
        file.write_all_at(&[1; 8192], 0).unwrap();
        commit_fully(&mounted);
        for piece in 1..40_u64 {
            file.write_all_at(&[piece as u8; 100], piece * 8192).unwrap();
            file.sync_all().unwrap();
        }
        assert!(assert_replays_to(&made.copy(), &mounted, &format!("{flavour:?}")) > 0);
    }
}

#[test]
fn a_frozen_copy_has_none_to_replay() {
    let made = filesystem(&[]);
    let mounted = made.mount("rw");
    commit_fully(&mounted);
    mounted.write_synced("fast", b"x");
    mounted.freeze();
    let found = crate::check(&made.copy().open());
    assert_eq!(found.verdict, Verdict::Consistent, "{:#?}", found.findings);
}

/// Where the area of fast commits begins, in bytes.
fn area_offset_bytes(made: &Made) -> u64 {
    let image = made.open();
    let opened = ext4::open(&image).unwrap();
    let filesystem = opened.on_disk().unwrap();
    let journal = opened.journal.as_ref().unwrap();
    let inode = filesystem.inode(filesystem.superblock.s_journal_inum).unwrap();
    let wanted = u64::from(journal.log_end()) + 1;
    let runs = filesystem.runs(&inode, 1000).unwrap();
    let run = runs.iter().find(|run| (run.logical_block..run.logical_block + run.length_blocks).contains(&wanted));
    let run = run.unwrap();
    (run.physical_block + wanted - run.logical_block) * filesystem.superblock.block_size_bytes()
}

#[test]
fn a_first_fast_commit_that_is_torn_is_what_the_kernel_does_not_mount() {
    let made = filesystem(&[]);
    let mounted = made.mount("rw");
    commit_fully(&mounted);
    mounted.write_synced("second", b"x");
    let live = made.copy();
    drop(mounted);
    let area = area_offset_bytes(&live);
    // Inside the first commit's first record after its head; then inside the second commit.
    for (offset, is_first) in [(area + 40, true), (area + 4096 + 40, false)] {
        let torn = live.copy();
        let file = File::options().read(true).write(true).open(&torn.path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[!byte[0]], offset).unwrap();

        let found = crate::check(&torn.open());
        let is_damage = found.findings.iter().any(|it| it.code == "fast-commit-broken");
        assert_eq!(is_damage, is_first, "{:#?}", found.findings);
        let wanted = if is_first { Verdict::Damaged } else { Verdict::Replay };
        assert_eq!(found.verdict, wanted, "{:#?}", found.findings);

        assert_eq!(torn.is_mounted_with("rw"), !is_first);
    }
}

#[test]
fn a_deleted_file_that_was_open_is_said_to_keep_the_kernel_from_mounting() {
    let made = filesystem(&[]);
    let mounted = made.mount("rw");
    fs::write(mounted.point.join("temporary"), b"x").unwrap();
    commit_fully(&mounted);
    let held = File::options().write(true).open(mounted.point.join("temporary")).unwrap();
    fs::remove_file(mounted.point.join("temporary")).unwrap();
    held.write_all_at(b"more", 0).unwrap();
    held.sync_all().unwrap();
    let live = made.copy();
    let found = crate::check(&live.open());
    assert!(crate::codes(&found).contains(&"fast-commit-deleted-inode"), "{:#?}", found.findings);
    assert_eq!(found.verdict, Verdict::Replay);
    assert!(!live.is_mounted_with("rw"));
}
