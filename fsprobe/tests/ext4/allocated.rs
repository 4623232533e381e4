//! `allocated()` against the free block lists of dumpe2fs.

use std::fs;

use fsprobe::{Extent, ext4};
use stillpoint_tests::machine::program::run;

use crate::image::Made;
use crate::{FLAVOURS, is_mountable};

/// The bytes that dumpe2fs does not list as free, with those before the first block.
fn by_dumpe2fs(made: &Made) -> Vec<Extent> {
    let text = run("dumpe2fs", &[made.path.to_str().unwrap()]);
    let number = |name: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let (block_size, blocks) = (number("Block size:"), number("Block count:"));
    // Of the last cluster of a range, only the first block is printed.
    let cluster_blocks = if text.contains("Cluster size:") { number("Cluster size:") / block_size } else { 1 };
    let mut free: Vec<(u64, u64)> = Vec::new();
    for list in text.lines().filter_map(|line| line.strip_prefix("  Free blocks: ")) {
        for range in list.split(", ").filter(|range| !range.is_empty()) {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            free.push((from.parse().unwrap(), (to.parse::<u64>().unwrap() + cluster_blocks).min(blocks)));
        }
    }
    free.push((blocks, blocks));
    free.sort_unstable();
    let mut used = Vec::new();
    let mut position = 0;
    for (from, to) in free {
        if from > position {
            used.push(Extent::new(position * block_size, (from - position) * block_size));
        }
        position = to;
    }
    used
}

#[test]
fn what_is_allocated_is_what_dumpe2fs_does_not_list_as_free() {
    for flavour in FLAVOURS {
        let made = Made::mke2fs(300, flavour);
        if is_mountable(flavour) {
            let mounted = made.mount("rw");
            for i in 0..40 {
                mounted.write_synced(&format!("f{i}"), &vec![1; 1 + i * 7_919]);
            }
            for i in (0..40).step_by(3) {
                fs::remove_file(mounted.point.join(format!("f{i}"))).unwrap();
            }
        }
        assert_eq!(ext4::allocated(&made.open()).unwrap(), by_dumpe2fs(&made), "{flavour:?}");
    }
}

#[test]
fn what_lies_after_the_filesystem_is_to_be_copied() {
    let made = Made::mke2fs(16, &["-t", "ext4"]);
    fs::File::options().write(true).open(&made.path).unwrap().set_len(20 << 20).unwrap();
    let last = *ext4::allocated(&made.open()).unwrap().last().unwrap();
    assert_eq!(last.end_bytes(), 20 << 20);
    assert!(last.size_bytes >= 4 << 20);
}

#[test]
fn a_filesystem_that_needs_a_replay_is_copied_for_both_its_states() {
    let made = Made::mke2fs(64, &["-t", "ext4"]);
    let mounted = made.mount("rw");
    mounted.write_synced("early", &[1; 100_000]);
    let dirty = made.copy();
    drop(mounted);
    let allocated = ext4::allocated(&dirty.open()).unwrap();
    let replayed = dirty.copy();
    replayed.debugfs("journal_run");
    let covers = |extent: &Extent| {
        allocated.iter().any(|a| a.offset_bytes <= extent.offset_bytes && extent.end_bytes() <= a.end_bytes())
    };
    let after = by_dumpe2fs(&replayed);
    assert!(after.iter().all(covers), "after the replay {after:?} is used, to be copied is {allocated:?}");
    let before = by_dumpe2fs(&dirty);
    assert!(before.iter().all(covers));
    assert_ne!(before, after, "the image shows nothing");
}

#[test]
fn a_group_whose_bitmap_does_not_verify_is_copied_whole() {
    let made = Made::mke2fs(300, &["-t", "ext4", "-b", "4096"]);
    let free = ext4::allocated(&made.open()).unwrap();
    let mut bytes = made.bytes();
    let bitmap = ext4::open(&bytes).unwrap().filesystem().unwrap().group(0).unwrap().bg_block_bitmap * 4096;
    bytes[usize::try_from(bitmap).unwrap() + 4000] ^= 1;
    let whole = ext4::allocated(&bytes).unwrap();
    assert!(whole[0].size_bytes >= 32768 * 4096, "{whole:?}, before it was {free:?}");
}
