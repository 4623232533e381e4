//! A tree with something of everything, and what two trees differ in.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, FileExt, FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{self as posix, AtFlags, CWD, Timespec, Timestamps, XattrFlags};

use crate::image::bytes;

/// Fills `root`.
pub fn populate(root: &Path) {
    fs::create_dir_all(root.join("deep/".repeat(100))).unwrap();
    fs::write(root.join("deep/".repeat(100)).join("bottom"), b"far down").unwrap();
    fs::create_dir_all(root.join("many")).unwrap();
    for i in 0..300 {
        fs::write(root.join(format!("many/name-that-fills-a-block-sooner-{i}")), i.to_string()).unwrap();
    }
    let odd: [&[u8]; 7] =
        [b"\x1b]0;title\x07", b"new\nline", b"\xff\xfe", "\u{65e5}\u{672c}".as_bytes(), b" ", b"...", b"-rf"];
    for name in odd {
        fs::write(root.join(bytes(name)), name).unwrap();
    }
    fs::write(root.join("n".repeat(255)), b"longest").unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(90_000_000).unwrap();
    for offset in [0, 70_000, 5_000_001] {
        sparse.write_all_at(&[7; 5000], offset).unwrap();
    }
    for (name, target) in [("dangling", "../../nowhere"), ("absolute", "/etc/passwd"), ("to-folder", "many")] {
        symlink(target, root.join(name)).unwrap();
    }
    symlink("t".repeat(1000), root.join("long-link")).unwrap();
    fs::write(root.join("linked"), b"three names").unwrap();
    fs::hard_link(root.join("linked"), root.join("linked-too")).unwrap();
    fs::hard_link(root.join("linked"), root.join("many/linked")).unwrap();
    let mode = posix::Mode::from_raw_mode(0o640);
    posix::mknodat(CWD, root.join("fifo"), posix::FileType::Fifo, mode, 0).unwrap();
    posix::mknodat(CWD, root.join("null"), posix::FileType::CharacterDevice, mode, posix::makedev(1, 3)).unwrap();
    drop(UnixListener::bind(root.join("socket")).unwrap());

    fs::write(root.join("owned"), b"x").unwrap();
    chown(root.join("owned"), Some(70_000), Some(3_000_000_000)).unwrap();
    fs::set_permissions(root.join("owned"), fs::Permissions::from_mode(0o6751)).unwrap();
    fs::set_permissions(root.join("many"), fs::Permissions::from_mode(0o1511)).unwrap();
    std::os::unix::fs::lchown(root.join("dangling"), Some(5), Some(6)).unwrap();
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let acl = [
        &[2, 0, 0, 0][..],
        &[1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe8, 3, 0, 0],
        &[4, 0, 4, 0, 255, 255, 255, 255, 0x10, 0, 4, 0, 255, 255, 255, 255, 0x20, 0, 0, 0, 255, 255, 255, 255],
    ]
    .concat();
    let xattrs: [(&str, &str, &[u8]); 6] = [
        ("owned", "security.capability", &capability),
        ("owned", "user.comment", b"it is owned"),
        ("sparse", "system.posix_acl_access", &acl),
        ("many", "system.posix_acl_default", &acl),
        ("many", "trusted.large", &[3; 700]),
        ("dangling", "trusted.of-a-symlink", b"1"),
    ];
    for (file, name, value) in xattrs {
        posix::lsetxattr(root.join(file), name, value, XattrFlags::empty()).unwrap();
    }
    for (file, tv_sec, tv_nsec) in [
        ("owned", -2_000_000_000, 1),
        ("fifo", -1, 999_999_999),
        ("dangling", 5_000_000_000, 123_456_789),
        ("deep", 946_684_800, 5),
    ] {
        let time = Timespec { tv_sec, tv_nsec };
        let times = Timestamps { last_access: time, last_modification: time };
        posix::utimensat(CWD, root.join(file), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// All that a copy has to keep, in words, by path; what is called one of `without` is left out.
pub fn described(root: &Path, without: &[&str]) -> BTreeMap<Vec<u8>, String> {
    let mut found = BTreeMap::new();
    describe(root, root, without, &mut found);
    let mut first_names: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    // Which names are the same file: by the first of them, as inode numbers differ.
    let paths: Vec<Vec<u8>> = found.keys().cloned().collect();
    for path in paths {
        found.get_mut(&path).unwrap().push_str(&content(&root.join(bytes(&path))));
        let metadata = fs::symlink_metadata(root.join(bytes(&path))).unwrap();
        if metadata.nlink() > 1 && !metadata.is_dir() {
            let first = first_names.entry(metadata.ino()).or_insert_with(|| path.clone());
            let first = String::from_utf8_lossy(first).into_owned();
            found.get_mut(&path).unwrap().push_str(&format!(" same as {first}"));
        }
    }
    found
}

fn describe(root: &Path, path: &Path, without: &[&str], found: &mut BTreeMap<Vec<u8>, String>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let kind = metadata.file_type();
    let words = format!(
        "{:o} {}:{} rdev {} atime {}.{} mtime {}.{}",
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        if kind.is_char_device() || kind.is_block_device() { metadata.rdev() } else { 0 },
        metadata.atime(),
        metadata.atime_nsec(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    );
    found.insert(path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(), words);
    if kind.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            assert_ne!(entry.ino(), 0);
            if !without.iter().any(|name| entry.file_name() == *name) {
                describe(root, &entry.path(), without, found);
            }
        }
    }
}

/// Content, target and extended attributes. Reading them sets access times, which is why they come after all of those.
fn content(path: &Path) -> String {
    let mut words = String::new();
    let metadata = fs::symlink_metadata(path).unwrap();
    let kind = metadata.file_type();
    if kind.is_file() {
        words += &format!(" {} bytes {}", metadata.size(), blake3::hash(&fs::read(path).unwrap()));
    } else if kind.is_symlink() {
        words += &format!(" -> {:?}", fs::read_link(path).unwrap());
    }
    let mut names = vec![0; 65536];
    let length = posix::llistxattr(path, &mut names[..]).unwrap();
    let mut names: Vec<&[u8]> = names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    for name in names {
        let mut value = vec![0; 65536];
        let length = posix::lgetxattr(path, name, &mut value[..]).unwrap();
        words += &format!(" {}={}", name.escape_ascii(), blake3::hash(&value[..length]));
    }
    words
}

/// Fails with the first names that differ.
pub fn assert_same(copied: &BTreeMap<Vec<u8>, String>, original: &BTreeMap<Vec<u8>, String>) {
    for path in copied.keys().chain(original.keys()) {
        assert_eq!(copied.get(path), original.get(path), "{}", path.escape_ascii());
    }
}
