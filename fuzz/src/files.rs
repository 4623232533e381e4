//! Reads something of every file that a disk says it has.

use std::collections::HashSet;

use fsprobe::ext4::files::Follow;
use fsprobe::ext4::{self, FileType, Filesystem};
use fsprobe::{ReadAt, layout};

/// Names looked at in one disk: more say nothing new.
const MAX_NAMES: usize = 500;

/// Reads folders, contents, links and attributes of every ext2, ext3 and ext4 volume.
pub fn read_all(disk: &dyn ReadAt) {
    let Ok(layout) = layout(disk) else { return };
    for volume in layout.volumes.iter().filter(|volume| volume.is_whole() && volume.kind.is_ext()) {
        let content = volume.open(disk);
        let Ok(opened) = ext4::open(&content) else { continue };
        let Some(filesystem) = opened.filesystem() else { continue };
        walk(&filesystem);
        for path in ["/a/b/../data", "/link/..", "/long-link", "/many/name-5-xxxxx"] {
            let _ = std::hint::black_box(filesystem.lookup(path.as_bytes(), Follow::Last));
        }
    }
}

fn walk(filesystem: &Filesystem<'_>) {
    let mut entered = HashSet::new();
    let mut ahead: Vec<_> = filesystem.root().into_iter().collect();
    let mut names = 0;
    while let Some(folder) = ahead.pop() {
        if !entered.insert(folder.inode.number) {
            continue;
        }
        for entry in filesystem.entries(&folder).into_iter().flatten().flatten() {
            names += 1;
            if names > MAX_NAMES {
                return;
            }
            assert!(!entry.name.is_empty() && !entry.name.contains(&b'/') && !entry.name.contains(&0));
            assert!(entry.name != b"." && entry.name != b"..");
            let Ok(node) = filesystem.node(entry.inode) else { continue };
            let _ = std::hint::black_box(filesystem.xattrs(&node));
            std::hint::black_box((node.accessed(), node.modified(), node.device_number(), node.user_id()));
            if let Ok(content) = filesystem.content(&node) {
                let mut end = 0;
                for extent in content.data() {
                    assert!(extent.size_bytes > 0 && extent.offset_bytes >= end);
                    end = extent.end_bytes();
                }
                assert!(end <= content.size_bytes());
                let mut buf = vec![0; 5000.min(content.size_bytes() as usize)];
                let _ = content.read_exact_at(&mut buf, 0);
                let last = content.size_bytes() - buf.len() as u64;
                let _ = content.read_exact_at(&mut buf, last);
            }
            match node.file_type {
                FileType::Directory => ahead.push(node),
                FileType::Symlink => {
                    if let Ok(target) = filesystem.symlink_target(&node) {
                        assert!(!target.is_empty() && !target.contains(&0));
                    }
                }
                _ => {}
            }
        }
    }
}
