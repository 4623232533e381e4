//! Fast commits that say anything at all, with right checksums: replaying them ends, does not panic, and what the overlay
//! shows can be judged and read.

use std::sync::LazyLock;

use fsprobe::ext4::files::Follow;
use fsprobe::{Depth, ext4};
use proptest::prelude::*;

use crate::image::Made;

const BLOCK_BYTES: usize = 1024;

/// A live copy with fast commits, which others take the place of.
struct Live {
    bytes: Vec<u8>,
    /// Where each block of their area is, in order.
    area: Vec<usize>,
    /// The transaction that fast commits are of.
    tid: u32,
    /// Bytes of an inode in use.
    inode: Vec<u8>,
}

static LIVE: LazyLock<Live> = LazyLock::new(|| {
    let made = Made::mke2fs(16, &["-t", "ext4", "-O", "fast_commit", "-b", "1024"]);
    let mounted = made.mount("rw");
    for folder in ["a", "a/b"] {
        std::fs::create_dir(mounted.point.join(folder)).unwrap();
    }
    for i in 0..30_u8 {
        std::fs::write(mounted.point.join(format!("a/{i}")), vec![i; usize::from(i) * 700]).unwrap();
    }
    mounted.sync();
    mounted.write_synced("a/1", b"a fast commit");
    let bytes = made.bytes();
    drop(mounted);

    let opened = ext4::open(&bytes).unwrap();
    let filesystem = opened.on_disk().unwrap();
    let first = u64::from(opened.journal.as_ref().unwrap().log_end()) + 1;
    let journal = filesystem.inode(filesystem.superblock.s_journal_inum).unwrap();
    let runs = filesystem.runs(&journal, 1000).unwrap();
    let blocks = runs
        .iter()
        .flat_map(|run| (run.logical_block..).zip(run.physical_block..run.physical_block + run.length_blocks));
    let area: Vec<_> =
        blocks.filter(|&(logical, _)| logical >= first).map(|(_, block)| block as usize * BLOCK_BYTES).collect();
    let tid = u32::from_le_bytes(bytes[area[0] + 8..area[0] + 12].try_into().unwrap());
    let table = filesystem.group(0).unwrap().bg_inode_table as usize * BLOCK_BYTES;
    let size = usize::from(filesystem.superblock.s_inode_size);
    let inode = bytes[table + 11 * size..table + 12 * size].to_vec();
    Live { bytes, area, tid, inode }
});

fn record(tag: u16, value: &[u8]) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &(value.len() as u16).to_le_bytes(), value].concat()
}

/// One fast commit of `records`.
fn commit(live: &Live, records: &[Vec<u8>]) -> Vec<u8> {
    let head = record(9, &[[0; 4], live.tid.to_le_bytes()].concat());
    let mut commit = Vec::new();
    for record in std::iter::once(&head).chain(records) {
        pad_for(record.len(), &mut commit);
        commit.extend(record);
    }
    pad_for(12, &mut commit);
    commit.extend(record(8, &[live.tid.to_le_bytes(), [0; 4]].concat()));
    let checksum_at = commit.len() - 4;
    // The kernel's begins at 0 and is not inverted.
    let checksum = !crc32c::crc32c_append(!0, &commit[..checksum_at]);
    commit[checksum_at..].copy_from_slice(&checksum.to_le_bytes());

    let mut bytes = live.bytes.clone();
    for (part, &at) in commit.chunks(BLOCK_BYTES).zip(&live.area) {
        bytes[at..at + part.len()].copy_from_slice(part);
    }
    bytes
}

/// Fills the block up where a record of `length` does not fit, with room for the next one's tag.
fn pad_for(length: usize, commit: &mut Vec<u8>) {
    let left = BLOCK_BYTES - commit.len() % BLOCK_BYTES;
    if length + 4 > left {
        commit.extend(record(7, &vec![0; left - 4]));
    }
}

fn inode_number() -> impl Strategy<Value = u32> {
    prop_oneof![11..50_u32, 0..16_u32, any::<u32>()]
}

fn block() -> impl Strategy<Value = u32> {
    prop_oneof![0..64_u32, 0..16_384_u32, any::<u32>()]
}

fn any_record() -> impl Strategy<Value = Vec<u8>> {
    let words = |words: Vec<u32>| words.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
    prop_oneof![
        (inode_number(), block(), any::<u16>(), prop_oneof![Just(0), any::<u16>()], block()).prop_map(
            move |(inode, logical, length, high, low)| {
                let extent =
                    [&logical.to_le_bytes()[..], &length.to_le_bytes(), &high.to_le_bytes(), &low.to_le_bytes()];
                record(1, &[&inode.to_le_bytes()[..], &extent.concat()].concat())
            }
        ),
        (inode_number(), block(), block())
            .prop_map(move |(inode, first, length)| record(2, &words(vec![inode, first, length]))),
        (
            3..6_u16,
            prop_oneof![Just(2), inode_number()],
            inode_number(),
            prop_oneof![0..40_u8, any::<u8>()],
            1..255_usize
        )
            .prop_map(move |(tag, directory, inode, name, length)| {
                let name = format!("{name}{}", if name < 30 { String::new() } else { "x".repeat(length.min(250)) });
                record(tag, &[&words(vec![directory, inode])[..], name.as_bytes()].concat())
            }),
        (inode_number(), prop::collection::vec((0..160_usize, prop_oneof![Just(0), any::<u8>()]), 0..6)).prop_map(
            |(inode, changes)| {
                let mut fields = LIVE.inode[..160].to_vec();
                for (offset, value) in changes {
                    fields[offset] = value;
                }
                record(6, &[&inode.to_le_bytes()[..], &fields].concat())
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_they_say_it_is_judged_and_read(records in prop::collection::vec(any_record(), 0..40)) {
        let bytes = commit(&LIVE, &records);
        let found = ext4::check(&bytes, Depth::Deep);
        prop_assert!(found.ext4.unwrap().fast_commits > 0, "it was not taken for a fast commit");
        ext4::allocated(&bytes).unwrap();
        let opened = ext4::open(&bytes).unwrap();
        let filesystem = opened.filesystem().unwrap();
        for folder in [&b"/"[..], b"/a", b"/a/b"] {
            let Ok(node) = filesystem.lookup(folder, Follow::Last) else { continue };
            for entry in filesystem.entries(&node).into_iter().flatten().flatten() {
                let node = filesystem.node(entry.inode);
                if let Ok(content) = node.and_then(|node| filesystem.content(&node)) {
                    content.data().for_each(drop);
                }
            }
        }
    }
}
