//! The overlay against the replay of e2fsprogs (debugfs: e2fsck would check and tidy up, too), block for block.

use std::fs;

use fsprobe::{ReadAt, Verdict, ext4};
use stillpoint_tests::machine::mount::Mount;
use stillpoint_tests::machine::program::{run, run_for_code};

use crate::image::{Made, STILL};
use crate::{check, is_mountable};

/// A copy of a filesystem that was being written to, cut off without unmount.
pub fn cut(flavour: &[&str], mount_options: &str, write: impl Fn(&Mount)) -> Made {
    let made = Made::mke2fs(64, flavour);
    let mounted = made.mount(&format!("{STILL},{mount_options}"));
    write(&mounted);
    made.copy()
}

/// The overlay of `dirty` equals what `debugfs` replays, but for the superblock's own fields and the journal.
fn assert_equals_e2fsprogs(dirty: &Made, what: &str) {
    let image = dirty.open();
    let found = check(&image);
    assert_eq!(found.verdict, Verdict::Replay, "{what}: {:#?}", found.findings);
    let opened = ext4::open(&image).unwrap();
    let oracle = dirty.copy();
    oracle.debugfs("journal_run");
    let oracle = oracle.open();

    let filesystem = opened.filesystem().unwrap();
    let block_size = filesystem.superblock.block_size_bytes();
    let journal = filesystem.inode(filesystem.superblock.s_journal_inum).unwrap();
    let journal = filesystem.runs(&journal, 1000).unwrap();
    let is_journal =
        |block| journal.iter().any(|run| (run.physical_block..run.physical_block + run.length_blocks).contains(&block));
    let superblock = &filesystem.superblock;
    // debugfs writes the copies of meta_bg descriptors anew, in the second and last group that a block of them is for.
    let is_descriptor_copy = |block: u64| {
        let group = u32::try_from(
            (block - u64::from(superblock.s_first_data_block)) / u64::from(superblock.s_blocks_per_group),
        )
        .unwrap();
        superblock.has_incompat(ext4::features::incompat::META_BG)
            && !group.is_multiple_of(superblock.descriptors_per_block())
            && block < superblock.group_first_block(group) + superblock.base_metadata_blocks(group)
    };
    let size = usize::try_from(block_size).unwrap();
    let (mut ours, mut theirs) = (vec![0; size], vec![0; size]);
    let first = u64::from(superblock.s_first_data_block);
    for block in (first..superblock.s_blocks_count).filter(|&block| !is_journal(block) && !is_descriptor_copy(block)) {
        opened.volume.read_exact_at(&mut ours, block * block_size).unwrap();
        oracle.read_exact_at(&mut theirs, block * block_size).unwrap();
        if block == superblock.primary_block() {
            let start = usize::try_from(1024 - block * block_size).unwrap();
            // Free counts (summed up anew), times, mount count, state, lifetime writes, checksum.
            for field in
                [0xc..0x14, 0x158..0x15c, 0x30..0x36, 0x40..0x44, 0x3a..0x3c, 0x178..0x180, 0x274..0x276, 0x3fc..0x400]
            {
                ours[start..][field.clone()].fill(0);
                theirs[start..][field].fill(0);
            }
        }
        if ours != theirs {
            let byte = ours.iter().zip(&theirs).position(|(a, b)| a != b).unwrap();
            let (ours, theirs) = (&ours[byte..(byte + 16).min(size)], &theirs[byte..(byte + 16).min(size)]);
            panic!("{what}: block {block} differs from byte {byte:#x} on: {ours:x?}, debugfs has {theirs:x?}");
        }
    }
}

/// Files, directories, truncation, renames and removal, each committed on its own.
pub fn churn(mounted: &Mount, rounds: usize) {
    for i in 0..rounds {
        let dir = mounted.point.join(format!("d{}", i % 7));
        fs::create_dir_all(&dir).unwrap();
        mounted.write_synced(&format!("d{}/f{i}", i % 7), &vec![i as u8; 1 + (i * 997) % 20_000]);
        if i % 3 == 0 {
            fs::rename(dir.join(format!("f{i}")), mounted.point.join(format!("renamed-{}", i % 11))).unwrap();
        }
        if i % 5 == 4 {
            fs::remove_dir_all(mounted.point.join(format!("d{}", (i + 3) % 7))).ok();
        }
    }
}

#[test]
fn a_replay_of_every_journalled_flavour_equals_that_of_e2fsprogs() {
    for flavour in crate::FLAVOURS {
        let options = flavour.join(" ");
        // Without a journal there is nothing to replay; fast commits have their own test.
        if !is_mountable(flavour) || ["ext2", "fast_commit"].iter().any(|other| options.contains(other)) {
            continue;
        }
        assert_equals_e2fsprogs(&cut(flavour, "rw", |mounted| churn(mounted, 30)), &options);
    }
}

#[test]
fn what_e2fsck_recovered_is_consistent() {
    for flavour in [&["-t", "ext4", "-b", "4096"][..], &["-t", "ext4", "-O", "orphan_file"], &["-t", "ext3"]] {
        let dirty = cut(flavour, "rw", |mounted| churn(mounted, 30));
        let image = dirty.path.to_str().unwrap();
        run_for_code("e2fsck", &["-fp", image], &[0, 1]);
        run("e2fsck", &["-fn", image]);
        let found = check(&dirty.open());
        assert_eq!(
            (found.verdict, found.findings.len()),
            (Verdict::Consistent, 0),
            "{flavour:?}: {:#?}",
            found.findings
        );
        let summary = found.ext4.unwrap();
        assert_eq!((summary.orphans, summary.replay_blocks, summary.journal_start), (0, 0, 0));
    }
}

#[test]
fn a_wrapped_journal_is_followed_round_the_end() {
    for flavour in [["-t", "ext4", "-b", "1024", "-J", "size=1"], ["-t", "ext4", "-b", "4096", "-J", "size=4"]] {
        for rounds in [180, 410, 730] {
            let dirty = cut(&flavour, "rw", |mounted| churn(mounted, rounds));
            assert_equals_e2fsprogs(&dirty, &format!("{flavour:?}, {rounds} rounds"));
        }
    }
}

#[test]
fn blocks_that_begin_with_the_magic_number_of_the_journal_are_unescaped() {
    let mut content = vec![0x5a; 64 * 1024];
    for block in content.chunks_mut(1024) {
        block[..4].copy_from_slice(&0xc03b_3998_u32.to_be_bytes());
    }
    for flavour in [["-t", "ext4", "-O", "64bit"], ["-t", "ext4", "-O", "^metadata_csum"], ["-t", "ext3", "-b", "4096"]]
    {
        let dirty = cut(&flavour, "rw,data=journal", |mounted| {
            mounted.write_synced("escaped", &content);
        });
        assert_equals_e2fsprogs(&dirty, &format!("{flavour:?}"));
    }
}

#[test]
fn a_block_that_was_freed_and_used_again_is_not_overwritten() {
    for flavour in [["-t", "ext4", "-b", "1024"], ["-t", "ext3", "-b", "1024"]] {
        let dirty = cut(&flavour, "rw", |mounted| {
            for round in 0..8 {
                let dir = mounted.point.join("dir");
                fs::create_dir(&dir).unwrap();
                for i in 0..200 {
                    fs::write(dir.join(format!("name-{round}-{i}")), b"").unwrap();
                }
                mounted.write_synced("between", b"x");
                fs::remove_dir_all(&dir).unwrap();
                mounted.write_synced(&format!("data-{round}"), &[0xee; 300_000]);
            }
        });
        let revoked = ext4::open(&dirty.open()).unwrap().replay.unwrap().revoked_copies;
        assert!(revoked > 0, "{flavour:?}: the image has no revoked copies");
        assert_equals_e2fsprogs(&dirty, &format!("{flavour:?}"));
    }
}

#[test]
fn journals_with_every_checksum_version_are_verified() {
    for (flavour, options) in [
        (&["-t", "ext4", "-O", "^metadata_csum"][..], "rw,journal_checksum"),
        (&["-t", "ext4", "-O", "^metadata_csum,^64bit"], "rw,journal_checksum"),
        (&["-t", "ext4", "-O", "^metadata_csum"], "rw,data=writeback,journal_async_commit"),
        (&["-t", "ext4"], "rw,data=writeback,journal_async_commit"),
    ] {
        assert_equals_e2fsprogs(
            &cut(flavour, options, |mounted| churn(mounted, 30)),
            &format!("{flavour:?} {options}"),
        );
    }
}

/// Of a journal with version 1 checksums and asynchronous commits: where its commit blocks are, in order.
fn commit_blocks(dirty: &Made) -> Vec<u64> {
    let image = dirty.open();
    let opened = ext4::open(&image).unwrap();
    let filesystem = opened.on_disk().unwrap();
    let journal = filesystem.inode(filesystem.superblock.s_journal_inum).unwrap();
    let runs = filesystem.runs(&journal, 1000).unwrap();
    let blocks = runs.iter().flat_map(|run| run.physical_block..run.physical_block + run.length_blocks);
    let is_commit = |&block: &u64| {
        let mut header = [0; 8];
        image.read_exact_at(&mut header, block * filesystem.superblock.block_size_bytes()).unwrap();
        header == [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 2]
    };
    blocks.filter(is_commit).map(|block| block * filesystem.superblock.block_size_bytes()).collect()
}

#[test]
fn an_asynchronous_commit_may_be_incomplete_only_if_it_is_the_last() {
    let dirty = cut(&["-t", "ext4", "-O", "^metadata_csum"], "rw,data=writeback,journal_async_commit", |mounted| {
        churn(mounted, 6);
    });
    let commits = commit_blocks(&dirty);
    let (first, last) = (commits[0], commits[commits.len() - 1]);
    for (commit, verdict, is_mounted) in [(first, Verdict::Damaged, false), (last, Verdict::Replay, true)] {
        let broken = dirty.copy();
        let file = fs::File::options().write(true).open(&broken.path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[0x5a; 4], commit + 16).unwrap();
        let found = check(&broken.open());
        assert_eq!(found.verdict, verdict, "{:#?}", found.findings);
        assert_eq!(broken.is_mounted_with("data=writeback,journal_async_commit"), is_mounted);
    }
}
