//! Images changed at random: whatever they say, the check ends and does not panic.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use fsprobe::{ReadAt, ext4};
use proptest::prelude::*;

use crate::image::Made;
use crate::{check, codes};

/// An image with some bytes changed.
pub struct Changed<'i> {
    pub image: &'i [u8],
    pub changes: Vec<(u64, u8)>,
}

impl ReadAt for Changed<'_> {
    fn size_bytes(&self) -> u64 {
        self.image.size_bytes()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        self.image.read_exact_at(buf, offset_bytes)?;
        for (offset, value) in &self.changes {
            let index = offset.checked_sub(offset_bytes).and_then(|index| usize::try_from(index).ok());
            if let Some(byte) = index.and_then(|index| buf.get_mut(index)) {
                *byte = *value;
            }
        }
        Ok(())
    }
}

struct Dirty {
    bytes: Vec<u8>,
    /// Where its structures are: those that the check reads.
    blocks: Vec<u64>,
}

/// Without checksums, so that what is changed is believed.
static DIRTY: LazyLock<Vec<Dirty>> = LazyLock::new(|| {
    [
        &["-t", "ext4", "-O", "^metadata_csum,^uninit_bg,fast_commit"][..],
        &["-t", "ext3"],
        &["-t", "ext4", "-O", "^metadata_csum,orphan_file,meta_bg,^resize_inode"],
    ]
    .into_iter()
    .map(|options| {
        let made = Made::mke2fs(16, &[&["-b", "1024"], options].concat());
        let mounted = made.mount("rw");
        for i in 0..20 {
            mounted.write_synced(&format!("f{}", i % 5), &[i; 3000]);
            if i % 5 == 4 {
                std::fs::remove_file(mounted.point.join(format!("f{}", i % 3))).unwrap();
            }
        }
        let bytes = made.bytes();
        drop(mounted);
        let opened = ext4::open(&bytes).unwrap();
        let filesystem = opened.on_disk().unwrap();
        let mut blocks = vec![1, 1, 2, 3];
        for (_, descriptor) in filesystem.groups() {
            let descriptor = descriptor.unwrap();
            blocks.extend([
                descriptor.bg_block_bitmap,
                descriptor.bg_inode_bitmap,
                descriptor.bg_inode_table,
                descriptor.bg_inode_table + 1,
            ]);
        }
        let journal = filesystem.inode(8).unwrap();
        filesystem
            .walk_blocks(&journal, &mut |piece| {
                match piece {
                    ext4::Piece::Map(block) => blocks.push(block),
                    ext4::Piece::Data(run) => {
                        blocks.extend((run.physical_block..run.physical_block + run.length_blocks).take(60))
                    }
                }
                Ok(())
            })
            .unwrap();
        Dirty { bytes, blocks }
    })
    .collect()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_image_is_judged_without_panic_or_hang(
        which in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![0..64_u64, 0..1024_u64], prop_oneof![Just(0), Just(0xff), any::<u8>()]), 1..12),
    ) {
        let dirty = &DIRTY[which];
        let changes = changes.iter().map(|(block, byte, value)| (block.get(&dirty.blocks) * 1024 + byte, *value)).collect();
        let changed = Changed { image: &dirty.bytes, changes };
        check(&changed);
        let mut end = 0;
        for extent in ext4::allocated(&changed).unwrap() {
            prop_assert!(extent.size_bytes > 0 && (extent.offset_bytes > end || end == 0));
            end = extent.end_bytes();
        }
        prop_assert!(end <= changed.size_bytes());
    }
}

/// A sparse image of 256 GiB, whose journal's triply indirect block names the same block 16384 times, which does so again.
#[test]
fn a_block_map_that_comes_by_a_block_twice_is_damage_at_once() {
    const BLOCK: u64 = 65536;
    let made = Made::mke2fs(256 << 10, &["-t", "ext3", "-b", "65536", "-J", "size=64"]);
    let (top, middle, bottom) = (3_000_000_u32, 3_000_001, 3_000_002);
    made.debugfs(&format!("set_inode_field <8> block[TIND] {top}"));
    let file = std::fs::OpenOptions::new().write(true).open(&made.path).unwrap();
    for (block, pointer) in [(top, middle), (middle, bottom)] {
        let pointers: Vec<u8> = std::iter::repeat_n(u32::to_le_bytes(pointer), 16384).flatten().collect();
        file.write_all_at(&pointers, u64::from(block) * BLOCK).unwrap();
    }
    assert_eq!(codes(&check(&made.open())), ["block-map-shared"]);
}
