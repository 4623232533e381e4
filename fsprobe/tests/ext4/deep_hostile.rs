//! Images changed at random in what the deep check reads: whatever they say, it ends and does not panic.

use std::sync::LazyLock;

use fsprobe::ext4;
use proptest::prelude::*;

use crate::deep::{deep, populate};
use crate::hostile::Changed;
use crate::image::Made;

struct Filled {
    bytes: Vec<u8>,
    /// Blocks that are not data of files.
    blocks: Vec<u64>,
}

/// Without checksums, so that what is changed is believed.
static FILLED: LazyLock<Vec<Filled>> = LazyLock::new(|| {
    let tree = tempfile::tempdir().unwrap();
    populate(tree.path());
    [
        &["-t", "ext4", "-O", "^metadata_csum,^uninit_bg,inline_data,ea_inode,quota,project,mmp"][..],
        &["-t", "ext3"],
        &["-t", "ext4", "-O", "^metadata_csum,^uninit_bg,meta_bg,^resize_inode,bigalloc", "-C", "4096"],
    ]
    .into_iter()
    .map(|options| {
        let common = ["-b", "1024", "-N", "2048", "-J", "size=1", "-d", tree.path().to_str().unwrap()];
        let bytes = Made::mke2fs(24, &[&common, options].concat()).bytes();
        let opened = ext4::open(&bytes).unwrap();
        let filesystem = opened.filesystem().unwrap();
        let mut blocks = vec![1, 2, 3, filesystem.superblock.s_mmp_block];
        for (_, descriptor) in filesystem.groups() {
            let descriptor = descriptor.unwrap();
            let table = descriptor.bg_inode_table;
            blocks.extend([descriptor.bg_block_bitmap, descriptor.bg_inode_bitmap]);
            blocks.extend(table..table + filesystem.inode_table_blocks());
        }
        for number in 1..=filesystem.superblock.s_inodes_count {
            let inode = filesystem.inode(number).unwrap();
            // 3 and 4 are quota files.
            let is_read = inode.file_type() == Some(ext4::FileType::Directory) || (3..=4).contains(&number);
            filesystem
                .walk_blocks(&inode, &mut |piece| {
                    match piece {
                        ext4::Piece::Map(block) => blocks.push(block),
                        ext4::Piece::Data(run) if is_read => {
                            blocks.extend(run.physical_block..run.physical_block + run.length_blocks);
                        }
                        ext4::Piece::Data(_) => {}
                    }
                    Ok(())
                })
                .unwrap();
        }
        Filled { bytes, blocks }
    })
    .collect()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_filesystem_is_judged_without_panic_or_hang(
        which in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..1024_u64, prop_oneof![Just(0), Just(0xff), any::<u8>()]), 1..40),
    ) {
        let filled = &FILLED[which];
        let changes = changes.iter().map(|(block, byte, value)| (block.get(&filled.blocks) * 1024 + byte, *value)).collect();
        deep(&Changed { image: &filled.bytes, changes });
    }
}

#[test]
fn inodes_that_all_claim_one_block_map_are_judged_in_the_time_of_one() {
    let made = Made::mke2fs(64, &["-t", "ext3", "-b", "1024", "-N", "16384"]);
    let mut bytes = made.bytes();
    let tables: Vec<u64> = {
        let opened = ext4::open(&bytes).unwrap();
        let filesystem = opened.filesystem().unwrap();
        filesystem.groups().map(|(_, descriptor)| descriptor.unwrap().bg_inode_table).collect()
    };
    let size = u64::from(ext4::open(&bytes).unwrap().superblock.unwrap().s_inode_size);
    // A block whose pointers all lead to itself, and files for each of which it is the map at all levels.
    let map = 40_000_u32;
    bytes[map as usize * 1024..][..1024].copy_from_slice(&map.to_le_bytes().repeat(256));
    for table in tables {
        for index in 11..2000 {
            let inode = &mut bytes[(table * 1024 + index * size) as usize..][..size as usize];
            inode[0..2].copy_from_slice(&0x81a4_u16.to_le_bytes());
            inode[0x1a] = 1;
            inode[0x28 + 12 * 4..0x28 + 15 * 4].copy_from_slice(&map.to_le_bytes().repeat(3));
        }
    }
    let found = deep(&bytes);
    assert!(found.findings.iter().any(|finding| finding.code == "block-claimed-twice"));
    assert_eq!(found.findings.len(), fsprobe::Findings::LIMIT + 1);
}
