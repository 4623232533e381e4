//! Second opinions on images that were cut off: `rust-fs-ext4`, another reader with a replay of its own, and the kernel.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use fs_ext4::block_io::FileDevice;
use fs_ext4::dir::{DirEntry, parse_block};
use fsprobe::ext4::files::{Follow, Node};
use fsprobe::ext4::{self, FileType, Filesystem};
use fsprobe::{ReadAt, Verdict};

use crate::image::Made;
use crate::replay::{churn, cut};
use crate::{check, is_mountable};

/// What a reader says of one path.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    inode: u32,
    mode: u32,
    owner: (u32, u32),
    /// Of what has content; else 0.
    size_bytes: u64,
    /// Of a file's content or a symlink's target.
    hash: u64,
}

type Tree = BTreeMap<Vec<u8>, Entry>;

fn hash(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

fn below(path: &[u8], name: &[u8]) -> Vec<u8> {
    [path, b"/", name].concat()
}

fn kernels(made: &Made) -> Tree {
    fn walk(root: &Path, path: Vec<u8>, inode: u64, tree: &mut Tree) {
        let on_mount = root.join(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(&path)));
        let metadata = fs::symlink_metadata(&on_mount).unwrap();
        let (mut size_bytes, mut content) = (metadata.size(), Vec::new());
        if metadata.is_dir() {
            size_bytes = 0;
            for entry in fs::read_dir(&on_mount).unwrap().map(Result::unwrap) {
                walk(root, below(&path, entry.file_name().as_bytes()), entry.ino(), tree);
            }
        } else if metadata.is_symlink() {
            content = fs::read_link(&on_mount).unwrap().into_os_string().into_encoded_bytes();
        } else if metadata.is_file() {
            content = fs::read(&on_mount).unwrap();
        }
        let owner = (metadata.uid(), metadata.gid());
        let inode = u32::try_from(inode).unwrap();
        tree.insert(path, Entry { inode, mode: metadata.mode(), owner, size_bytes, hash: hash(&content) });
    }
    let copy = made.copy();
    // Writable, so that the kernel replays.
    let mounted = copy.mount("rw,noatime");
    let mut tree = Tree::new();
    walk(&mounted.point, Vec::new(), 2, &mut tree);
    tree
}

fn ours(made: &Made) -> Tree {
    fn walk(filesystem: &Filesystem<'_>, path: Vec<u8>, node: &Node, tree: &mut Tree) {
        let (mut size_bytes, mut content) = (node.inode.i_size, Vec::new());
        match node.file_type {
            FileType::Directory => {
                size_bytes = 0;
                for entry in filesystem.entries(node).unwrap().map(Result::unwrap) {
                    let path = below(&path, &entry.name);
                    let node = filesystem.lookup(&path, Follow::AllButLast).unwrap();
                    walk(filesystem, path, &node, tree);
                }
            }
            FileType::Symlink => content = filesystem.symlink_target(node).unwrap(),
            FileType::Regular => {
                let file = filesystem.content(node).unwrap();
                content = vec![1; usize::try_from(file.size_bytes()).unwrap()];
                file.read_exact_at(&mut content, 0).unwrap();
            }
            _ => {}
        }
        let (inode, mode) = (node.inode.number, node.inode.i_mode.into());
        let owner = (node.user_id(), node.group_id());
        tree.insert(path, Entry { inode, mode, owner, size_bytes, hash: hash(&content) });
    }
    let image = made.open();
    let opened = ext4::open(&image).unwrap();
    let filesystem = opened.filesystem().unwrap();
    let mut tree = Tree::new();
    walk(&filesystem, Vec::new(), &filesystem.root().unwrap(), &mut tree);
    tree
}

/// The image is opened for reading only: then that library, too, keeps what it replays in memory.
fn theirs(made: &Made) -> Tree {
    fn walk(filesystem: &fs_ext4::Filesystem, path: Vec<u8>, number: u32, tree: &mut Tree) {
        let (inode, raw) = filesystem.read_inode_verified(number).unwrap();
        let (mut size_bytes, mut content) = (inode.size, Vec::new());
        if inode.is_dir() {
            size_bytes = 0;
            for entry in names(filesystem, number, &inode) {
                if entry.name != b"." && entry.name != b".." {
                    walk(filesystem, below(&path, &entry.name), entry.inode, tree);
                }
            }
        } else if inode.is_symlink() {
            content = filesystem.read_link_ino(number).unwrap();
        } else if inode.is_file() {
            content = vec![1; usize::try_from(inode.size).unwrap()];
            let read = fs_ext4::file_io::read_with_raw(filesystem, &inode, &raw, 0, inode.size, &mut content).unwrap();
            assert_eq!(read, inode.size);
        }
        let (mode, owner) = (inode.mode.into(), (inode.uid, inode.gid));
        tree.insert(path, Entry { inode: number, mode, owner, size_bytes, hash: hash(&content) });
    }
    /// Of directories with a block map, it reads blocks only.
    fn names(filesystem: &fs_ext4::Filesystem, number: u32, inode: &fs_ext4::inode::Inode) -> Vec<DirEntry> {
        if inode.has_extents() || inode.has_inline_data() {
            return filesystem.read_dir_ino(number).unwrap();
        }
        let blocks = inode.size / u64::from(filesystem.sb.block_size());
        let block = |logical| filesystem.read_block(filesystem.map_inode_logical(inode, logical).unwrap().unwrap());
        (0..blocks).flat_map(|logical| parse_block(&block(logical).unwrap(), true).unwrap()).collect()
    }
    let device = FileDevice::open_path(&made.path).unwrap();
    let filesystem = fs_ext4::Filesystem::mount(Arc::new(device)).unwrap();
    let mut tree = Tree::new();
    walk(&filesystem, Vec::new(), 2, &mut tree);
    tree
}

fn assert_all_agree(made: &Made, what: &str) {
    assert_eq!(check(&made.open()).verdict, Verdict::Replay, "{what}");
    let kernels = kernels(made);
    assert!(kernels.len() > 20, "{what}: only {} paths", kernels.len());
    assert_eq!(ours(made), kernels, "{what}: we and the kernel");
    assert_eq!(theirs(made), kernels, "{what}: rust-fs-ext4 and the kernel");
}

#[test]
fn of_any_flavour_cut_off_all_readers_see_the_same_tree() {
    for flavour in crate::FLAVOURS {
        let what = flavour.join(" ");
        // Without a journal there is nothing to replay; fast commits have their own test.
        if !is_mountable(flavour) || ["ext2", "fast_commit"].iter().any(|other| what.contains(other)) {
            continue;
        }
        assert_all_agree(&cut(flavour, "rw", |mounted| churn(mounted, 60)), &what);
    }
}

#[test]
fn with_a_wrapped_journal_all_readers_see_the_same_tree() {
    for flavour in [["-t", "ext4", "-b", "1024", "-J", "size=1"], ["-t", "ext3", "-b", "1024", "-J", "size=1"]] {
        for rounds in [180, 310, 410, 730] {
            let dirty = cut(&flavour, "rw", |mounted| churn(mounted, rounds));
            assert_all_agree(&dirty, &format!("{flavour:?}, {rounds} rounds"));
        }
    }
}
