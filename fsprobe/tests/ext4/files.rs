//! Files as the kernel shows them through a mount: names, attributes, content and holes, on every flavour.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use fsprobe::ext4::files::{Follow, LookupError, Node, Time};
use fsprobe::ext4::{FileType, Filesystem, Opened};
use fsprobe::{Extent, ReadAt, ext4};
use rustix::fs::{self as posix, AtFlags, FallocateFlags, Timespec, Timestamps, XattrFlags};

use crate::image::{Made, STILL};
use crate::is_mountable;

/// What ext4 can hold of everything.
fn populate(root: &Path) {
    fs::create_dir_all(root.join("many")).unwrap();
    for i in 0..400 {
        fs::write(root.join(format!("many/name-that-is-long-enough-to-fill-blocks-{i}")), format!("{i}")).unwrap();
    }
    for i in 0..100 {
        fs::remove_file(root.join(format!("many/name-that-is-long-enough-to-fill-blocks-{}", i * 3))).unwrap();
    }
    fs::create_dir_all(root.join("deep/".repeat(30))).unwrap();
    fs::create_dir(root.join("small")).unwrap();
    for size in [0, 1, 59, 60, 61, 150, 1000, 4096, 100_000] {
        fs::write(root.join(format!("small/{size}")), vec![b'a' + (size % 26) as u8; size]).unwrap();
    }
    for length in [1, 59, 60, 61, 200, 1000] {
        symlink("t".repeat(length), root.join(format!("link-{length}"))).unwrap();
    }
    let odd: [&[u8]; 6] = [b"esc\x1b[31m", b"new\nline", b"\xff\xfe", "\u{65e5}\u{672c}".as_bytes(), b" ", b"..."];
    for name in odd {
        fs::write(root.join(OsStr::from_bytes(name)), name).unwrap();
    }
    fs::write(root.join("n".repeat(255)), b"longest").unwrap();

    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(9_000_000).unwrap();
    for offset in [0, 70_000, 1_000_000, 5_000_001] {
        sparse.write_all_at(&[7; 5000], offset).unwrap();
    }
    let unwritten = File::create(root.join("unwritten")).unwrap();
    // ext2 and ext3 do not have it.
    if posix::fallocate(&unwritten, FallocateFlags::empty(), 0, 400_000).is_ok() {
        unwritten.write_all_at(&[9; 3000], 100_000).unwrap();
    }
    let fragmented = [File::create(root.join("odd-blocks")).unwrap(), File::create(root.join("even-blocks")).unwrap()];
    for block in 0..80_u64 {
        let file = &fragmented[(block % 2) as usize];
        file.write_all_at(&[block as u8; 4096], block * 2048 / 4096 * 8192).unwrap();
        file.sync_data().unwrap_or_default();
    }

    fs::write(root.join("linked"), b"two names").unwrap();
    fs::hard_link(root.join("linked"), root.join("small/linked too")).unwrap();
    for (name, kind, device) in [
        ("fifo", posix::FileType::Fifo, 0),
        ("null", posix::FileType::CharacterDevice, posix::makedev(1, 3)),
        ("large-minor", posix::FileType::BlockDevice, posix::makedev(259, 70_000)),
    ] {
        posix::mknodat(posix::CWD, root.join(name), kind, posix::Mode::from_raw_mode(0o640), device).unwrap();
    }
    drop(UnixListener::bind(root.join("socket")).unwrap());

    fs::set_permissions(root.join("small/1"), fs::Permissions::from_mode(0o6751)).unwrap();
    std::os::unix::fs::chown(root.join("small/59"), Some(70_000), Some(3_000_000_000)).unwrap();
    let xattrs: [(&str, &[u8]); 4] =
        [("user.a", b"1"), ("user.empty", b""), ("trusted.b", &[3; 40]), ("user.large", &[5; 700])];
    for file in ["small/60", "small", "sparse"] {
        for (name, value) in xattrs {
            posix::setxattr(root.join(file), name, value, XattrFlags::empty()).unwrap();
        }
    }
    let acl = [
        &[2, 0, 0, 0][..],
        &[1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe8, 3, 0, 0],
        &[4, 0, 4, 0, 255, 255, 255, 255, 0x10, 0, 4, 0, 255, 255, 255, 255, 0x20, 0, 0, 0, 255, 255, 255, 255],
    ]
    .concat();
    for (file, name) in [("small/61", "system.posix_acl_access"), ("small", "system.posix_acl_default")] {
        posix::setxattr(root.join(file), name, &acl, XattrFlags::empty()).unwrap();
    }
    for (file, tv_sec, tv_nsec) in [
        ("small/150", -2_000_000_000, 1),
        ("small/1000", -1, 999_999_999),
        ("small/4096", 5_000_000_000, 123_456_789),
        ("link-1", 1_000_000_000, 5),
        ("deep", 946_684_800, 0),
    ] {
        let time = Timespec { tv_sec, tv_nsec };
        let times = Timestamps { last_access: time, last_modification: time };
        posix::utimensat(posix::CWD, root.join(file), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

fn kernels_xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 65536];
    let length = posix::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 65536];
            let length = posix::lgetxattr(path, name, &mut value[..]).unwrap();
            (name.to_vec(), value[..length].to_vec())
        })
        .collect()
}

/// Where the kernel sees data: each hole in it reads as zeros.
fn assert_same_content(path: &Path, filesystem: &Filesystem<'_>, node: &Node) {
    let content = filesystem.content(node).unwrap();
    let mut kernels = Vec::new();
    File::open(path).unwrap().read_to_end(&mut kernels).unwrap();
    let mut ours = vec![1; kernels.len()];
    assert_eq!(content.size_bytes(), kernels.len() as u64, "{}", path.display());
    content.read_exact_at(&mut ours, 0).unwrap();
    assert!(ours == kernels, "{}: the content differs", path.display());
    for (start, length) in [(0, 1), (4095, 2), (69_999, 5002), (4_999_000, 8192)] {
        if start + length <= kernels.len() {
            let mut part = vec![1; length];
            content.read_exact_at(&mut part, start as u64).unwrap();
            assert!(part == kernels[start..start + length], "{}: {start} + {length}", path.display());
        }
    }
    let mut only_data = vec![0; kernels.len()];
    for Extent { offset_bytes, size_bytes } in content.data() {
        let range = offset_bytes as usize..(offset_bytes + size_bytes) as usize;
        only_data[range.clone()].copy_from_slice(&kernels[range]);
    }
    assert!(only_data == kernels, "{}: a hole covers data", path.display());
}

/// Compares everything below `folder` of the mount with what is read; returns how many names that were.
fn assert_same_tree(mounted: &Path, filesystem: &Filesystem<'_>, path: &Path) -> usize {
    let in_image = Path::new("/").join(path.strip_prefix(mounted).unwrap());
    let node = filesystem.lookup(in_image.as_os_str().as_bytes(), Follow::AllButLast).unwrap();
    let kernels = fs::symlink_metadata(path).unwrap();
    assert_eq!(
        (u64::from(node.inode.number), u32::from(node.inode.i_mode), node.user_id(), node.group_id()),
        (kernels.ino(), kernels.mode(), kernels.uid(), kernels.gid()),
        "{}",
        path.display()
    );
    assert_eq!(node.inode.i_size, kernels.size(), "{}", path.display());
    let time = |seconds, nanoseconds: i64| Time { seconds, nanoseconds: nanoseconds as u32 };
    assert_eq!(node.modified(), time(kernels.mtime(), kernels.mtime_nsec()), "{}", path.display());
    assert_eq!(node.accessed(), time(kernels.atime(), kernels.atime_nsec()), "{}", path.display());
    let (major, minor) = node.device_number();
    assert_eq!(posix::makedev(major, minor), kernels.rdev(), "{}", path.display());
    let xattrs = filesystem.xattrs(&node).unwrap().into_iter().map(|xattr| (xattr.name, xattr.value)).collect();
    assert_eq!(kernels_xattrs(path), xattrs, "{}", path.display());
    match node.file_type {
        FileType::Regular => assert_same_content(path, filesystem, &node),
        FileType::Symlink => {
            let target = fs::read_link(path).unwrap();
            assert_eq!(filesystem.symlink_target(&node).unwrap(), target.as_os_str().as_bytes());
        }
        FileType::Directory => {
            let names = |entry: fs::DirEntry| (entry.file_name().as_bytes().to_vec(), entry.ino() as u32);
            let kernels: BTreeMap<_, _> = fs::read_dir(path).unwrap().map(|entry| names(entry.unwrap())).collect();
            let entries = filesystem.entries(&node).unwrap().map(Result::unwrap);
            let ours: BTreeMap<_, _> = entries.map(|entry| (entry.name, entry.inode)).collect();
            assert_eq!(ours, kernels, "{}", path.display());
            let below =
                kernels.keys().map(|name| assert_same_tree(mounted, filesystem, &path.join(OsStr::from_bytes(name))));
            return 1 + below.sum::<usize>();
        }
        _ => {}
    }
    1
}

fn opened(image: &dyn ReadAt) -> Opened<'_> {
    ext4::open(image).unwrap()
}

#[test]
fn every_flavour_shows_the_tree_that_the_kernel_shows() {
    for flavour in crate::FLAVOURS.iter().filter(|flavour| is_mountable(flavour)) {
        let options = flavour.join(" ");
        let made = Made::mke2fs(96, flavour);
        populate(&made.mount("rw").point);
        let mounted = made.mount("ro,noatime");
        let image = made.open();
        let opened = opened(&image);
        let names = assert_same_tree(&mounted.point, &opened.filesystem().unwrap(), &mounted.point);
        assert!(names > 350, "{options}: only {names} names were compared");
    }
}

#[test]
fn a_live_copy_shows_what_is_in_its_journal_only() {
    let made = Made::mke2fs(64, &["-t", "ext4"]);
    let mounted = made.mount(STILL);
    populate(&mounted.point);
    mounted.write_synced("last", b"in the journal");
    let live = made.copy();
    drop(mounted);
    let image = live.open();
    let opened = opened(&image);
    assert!(opened.volume.replayed_blocks() > 0);
    assert!(opened.on_disk().unwrap().lookup(b"/last", Follow::Last).is_err(), "it is not in the journal only");
    let recovered = live.copy();
    // A real mount replays; what it shows is what the live copy has to show.
    let mounted = recovered.mount("rw,noatime");
    assert_same_tree(&mounted.point, &opened.filesystem().unwrap(), &mounted.point);
}

#[test]
fn values_of_attributes_in_inodes_of_their_own_are_read() {
    let made = Made::mke2fs(64, &["-t", "ext4", "-O", "ea_inode"]);
    let value = vec![0x5a; 60_000];
    {
        let mounted = made.mount("rw");
        fs::write(mounted.point.join("file"), b"x").unwrap();
        posix::setxattr(mounted.point.join("file"), "user.huge", &value, XattrFlags::empty()).unwrap();
    }
    let image = made.open();
    let opened = opened(&image);
    let filesystem = opened.filesystem().unwrap();
    let node = filesystem.lookup(b"/file", Follow::Last).unwrap();
    let xattrs = filesystem.xattrs(&node).unwrap();
    assert_eq!((xattrs.len(), &xattrs[0].value), (1, &value));
}

#[test]
fn symlinks_lead_nowhere_but_inside() {
    let made = Made::mke2fs(16, &["-t", "ext4"]);
    {
        let mounted = made.mount("rw");
        let root = &mounted.point;
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/file"), b"x").unwrap();
        for (name, target) in [
            ("absolute", "/a/b"),
            ("relative", "a/../a/b"),
            ("outside", "../../../../a/b"),
            ("loop", "loop"),
            ("one", "two"),
            ("two", "one"),
            ("to-file", "a/file"),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
    }
    let image = made.open();
    let opened = opened(&image);
    let filesystem = opened.filesystem().unwrap();
    let number = |path: &str| filesystem.lookup(path.as_bytes(), Follow::Last).map(|node| node.inode.number);
    let file = number("/a/file").unwrap();
    for path in
        ["/absolute/../file", "relative/../file", "/outside/../file", "/../../a/file", "//a/./b/..//file", "/to-file"]
    {
        assert_eq!(number(path).unwrap(), file, "{path}");
    }
    for path in ["/loop", "/one", "/one/x"] {
        assert!(matches!(number(path), Err(LookupError::TooManySymlinks)), "{path}");
    }
    for path in ["/a/file/", "/a/file/..", "/to-file/x"] {
        assert!(matches!(number(path), Err(LookupError::NotAFolder { .. })), "{path}");
    }
    assert!(matches!(number("/a/\x1b[0m"), Err(LookupError::NotFound { name }) if name == "\\u{1b}[0m"));
}

#[test]
fn names_that_no_file_can_have_and_inodes_that_are_none_are_refused() {
    let made = Made::mke2fs(16, &["-t", "ext4", "-O", "^metadata_csum,^dir_index"]);
    {
        let mounted = made.mount("rw");
        for name in ["xx-dots", "xxxx-slash", "zero", "free", "journal", "good"] {
            fs::write(mounted.point.join(name), b"x").unwrap();
        }
    }
    let mut bytes = made.bytes();
    let entry = |name: &str| {
        let mut places = bytes.windows(name.len()).enumerate().filter(|(_, window)| *window == name.as_bytes());
        // The first is in the folder's block: no journal was replayed.
        places.find(|(at, _)| usize::from(bytes[at - 2]) == name.len()).unwrap().0
    };
    let places = ["xx-dots", "xxxx-slash", "zero", "free", "journal"].map(entry);
    bytes[places[0]..][..7].copy_from_slice(b"../../x");
    bytes[places[1]..][..10].copy_from_slice(b"/etc/passw");
    bytes[places[2] + 1] = 0;
    bytes[places[3] - 8..][..4].copy_from_slice(&4000_u32.to_le_bytes());
    bytes[places[4] - 8..][..4].copy_from_slice(&8_u32.to_le_bytes());
    // `..` as the name of a third entry, by its length.
    let opened = opened(&bytes);
    let filesystem = opened.filesystem().unwrap();
    let root = filesystem.root().unwrap();
    let (names, faults): (Vec<_>, Vec<_>) = filesystem.entries(&root).unwrap().partition(Result::is_ok);
    let names: Vec<Vec<u8>> = names.into_iter().map(|entry| entry.unwrap().name).collect();
    assert_eq!(names, [&b"lost+found"[..], b"free", b"journal", b"good"]);
    assert_eq!(faults.len(), 3);
    for fault in faults {
        assert!(fault.unwrap_err().to_string().ends_with("(directory-name)"));
    }
    for name in ["/free", "/journal"] {
        let error = filesystem.lookup(name.as_bytes(), Follow::Last).unwrap_err();
        assert!(
            error.to_string().ends_with("(inode-not-a-file)") || error.to_string().ends_with("(inode-mode)"),
            "{error}"
        );
    }
}

#[test]
fn a_damaged_block_of_a_folder_leaves_the_others_readable() {
    let made = Made::mke2fs(16, &["-t", "ext4", "-b", "1024"]);
    {
        let mounted = made.mount("rw");
        for i in 0..200 {
            fs::write(mounted.point.join(format!("name-{i:03}")), b"").unwrap();
        }
    }
    let block: u64 = made.debugfs("bmap / 3").trim().parse().unwrap();
    let mut bytes = made.bytes();
    bytes[block as usize * 1024 + 8] ^= 1;
    let opened = opened(&bytes);
    let filesystem = opened.filesystem().unwrap();
    let (names, faults): (Vec<_>, Vec<_>) =
        filesystem.entries(&filesystem.root().unwrap()).unwrap().partition(Result::is_ok);
    assert!(names.len() > 100 && names.len() < 201, "{}", names.len());
    assert_eq!(faults.len(), 1);
    assert!(faults[0].as_ref().unwrap_err().to_string().contains("directory block 3: det_checksum is"));
}

/// A folder with an index, in a filesystem with checksums, after `change` was made to it by debugfs and to its bytes.
fn faults_of_an_indexed_folder(request: &str, change: impl FnOnce(&mut Vec<u8>, usize)) -> (usize, Vec<String>) {
    let made = Made::mke2fs(16, &["-t", "ext4", "-b", "1024"]);
    {
        let mounted = made.mount("rw");
        for i in 0..200 {
            fs::write(mounted.point.join(format!("name-{i:03}")), b"").unwrap();
        }
    }
    let root: usize = made.debugfs("bmap / 0").trim().parse().unwrap();
    made.debugfs(request);
    let mut bytes = made.bytes();
    change(&mut bytes, root * 1024);
    let opened = opened(&bytes);
    let filesystem = opened.filesystem().unwrap();
    let entries = filesystem.entries(&filesystem.root().unwrap()).unwrap();
    let (names, faults): (Vec<_>, Vec<_>) = entries.partition(Result::is_ok);
    (names.len(), faults.into_iter().map(|fault| fault.unwrap_err().to_string()).collect())
}

#[test]
fn a_folder_whose_index_does_not_verify_is_listed_with_an_error() {
    assert_eq!(faults_of_an_indexed_folder("bmap / 0", |_, _| {}), (201, vec![]));
    let (names, faults) = faults_of_an_indexed_folder("bmap / 0", |bytes, root| bytes[root + 0x2c] ^= 1);
    assert_eq!((names, faults.len()), (201, 1), "{faults:?}");
    assert!(faults[0].starts_with("inode 2, directory block 0: dt_checksum is"), "{faults:?}");
}

#[test]
fn a_folder_with_blocks_missing_is_listed_with_an_error() {
    let (names, faults) = faults_of_an_indexed_folder("punch / 2 3", |_, _| {});
    assert!(names < 201);
    assert_eq!(faults, ["inode 2: blocks 2 to 3 of it are missing, and their names (directory-hole)"]);
    let (names, faults) = faults_of_an_indexed_folder("sif / size 2048", |_, _| {});
    assert!(names < 201);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("inode 2: i_size is 2048, but it has "), "{faults:?}");
}
