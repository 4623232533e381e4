//! Folders, inodes and attributes changed at random: whatever they say, reading the files ends and does not panic.

use std::collections::HashSet;
use std::fs;
use std::sync::LazyLock;

use fsprobe::ext4::files::Follow;
use fsprobe::ext4::{FileType, Filesystem};
use fsprobe::{ReadAt, ext4};
use proptest::prelude::*;
use rustix::fs::{XattrFlags, setxattr};

use crate::hostile::Changed;
use crate::image::Made;

const BLOCK_BYTES: u64 = 1024;

struct Tree {
    bytes: Vec<u8>,
    /// Where inodes, directory entries and attributes are.
    blocks: Vec<u64>,
}

/// Without checksums, so that what is changed is believed.
static TREES: LazyLock<Vec<Tree>> = LazyLock::new(|| {
    [
        &["-t", "ext4", "-O", "^metadata_csum,^uninit_bg,ea_inode"][..],
        &["-t", "ext4", "-O", "^metadata_csum,^uninit_bg,inline_data", "-I", "512"],
        &["-t", "ext2"],
    ]
    .into_iter()
    .map(|options| {
        let made = Made::mke2fs(8, &[&["-b", "1024"], options].concat());
        {
            let root = made.mount("rw");
            let root = &root.point;
            fs::create_dir_all(root.join("a/b")).unwrap();
            for i in 0..60 {
                fs::write(root.join(format!("a/name-{i}-{}", "x".repeat(i))), vec![1; i * 40]).unwrap();
            }
            std::os::unix::fs::symlink("a/b", root.join("link")).unwrap();
            std::os::unix::fs::symlink("y".repeat(200), root.join("long-link")).unwrap();
            setxattr(root.join("a"), "user.small", b"value", XattrFlags::empty()).unwrap();
            setxattr(root.join("a/b"), "user.large", &[7; 600], XattrFlags::empty()).unwrap();
        }
        let bytes = made.bytes();
        let opened = ext4::open(&bytes).unwrap();
        let filesystem = opened.filesystem().unwrap();
        let table = filesystem.group(0).unwrap().bg_inode_table;
        let mut blocks: Vec<u64> = (table..table + 24).collect();
        for path in ["/", "/a", "/a/b", "/link", "/long-link"] {
            let node = filesystem.lookup(path.as_bytes(), Follow::AllButLast).unwrap();
            let runs = filesystem.runs(&node.inode, 100).unwrap();
            blocks.extend(runs.iter().flat_map(|run| run.physical_block..run.physical_block + run.length_blocks));
            blocks.extend((node.inode.i_file_acl != 0).then_some(node.inode.i_file_acl));
        }
        Tree { bytes, blocks }
    })
    .collect()
});

/// Reads something of everything that can be come by; returns how many names that were.
fn read_all(filesystem: &Filesystem<'_>) -> usize {
    let mut names = 0;
    let mut entered = HashSet::new();
    let mut ahead: Vec<_> = filesystem.root().into_iter().collect();
    while let Some(folder) = ahead.pop() {
        if !entered.insert(folder.inode.number) {
            continue;
        }
        for entry in filesystem.entries(&folder).into_iter().flatten().flatten() {
            names += 1;
            assert!(!entry.name.is_empty() && !entry.name.contains(&b'/') && !entry.name.contains(&0));
            assert!(entry.name != b"." && entry.name != b"..");
            let Ok(node) = filesystem.node(entry.inode) else { continue };
            filesystem.xattrs(&node).ok();
            let _read = (node.accessed(), node.modified(), node.device_number(), node.user_id());
            if let Ok(content) = filesystem.content(&node) {
                let mut end = 0;
                for extent in content.data() {
                    assert!(extent.size_bytes > 0 && extent.offset_bytes >= end);
                    end = extent.end_bytes();
                }
                assert!(end <= content.size_bytes());
                let mut buf = vec![0; 5000.min(content.size_bytes() as usize)];
                content.read_exact_at(&mut buf, 0).ok();
                let last = content.size_bytes() - buf.len() as u64;
                content.read_exact_at(&mut buf, last).ok();
            }
            match node.file_type {
                FileType::Directory => ahead.push(node),
                FileType::Symlink => {
                    let target = filesystem.symlink_target(&node).unwrap_or_else(|_| vec![b'x']);
                    assert!(!target.is_empty() && !target.contains(&0));
                }
                _ => {}
            }
        }
    }
    names
}

#[test]
fn what_is_changed_below_is_read_whole_where_it_is_not() {
    for tree in &*TREES {
        let opened = ext4::open(&tree.bytes).unwrap();
        assert_eq!(read_all(&opened.filesystem().unwrap()), 65);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_of_a_changed_image_are_read_without_panic_or_hang(
        which in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![0..64_u64, 0..BLOCK_BYTES], prop_oneof![Just(0), Just(0xff), any::<u8>()]), 1..12),
    ) {
        let tree = &TREES[which];
        let changes = changes.iter().map(|(block, byte, value)| (block.get(&tree.blocks) * BLOCK_BYTES + byte, *value));
        let changed = Changed { image: &tree.bytes, changes: changes.collect() };
        let opened = ext4::open(&changed).unwrap();
        if let Some(filesystem) = opened.filesystem() {
            read_all(&filesystem);
            for path in ["/a/b/../name-5-xxxxx", "/link/..", "/long-link"] {
                filesystem.lookup(path.as_bytes(), Follow::Last).ok();
            }
        }
    }
}
