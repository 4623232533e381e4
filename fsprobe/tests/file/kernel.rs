//! Every byte is what the kernel reads at the moment of the freeze, and after the unmount.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

use fsprobe::{FileError, Kind, with_file};
use rustix::fs::{self as posix, FallocateFlags};
use stillpoint_tests::machine::image::{Images, copy};
use stillpoint_tests::machine::mount::Mount;
use stillpoint_tests::machine::{ext4, program};

use crate::support::{Image, content, inode_of, xfs, xfs_db};

/// Files in pieces, by how many: a tree of leaves only, and one with nodes between them and its root.
const PIECES: [u64; 2] = [300, 3000];

/// Files of every shape.
fn populate(root: &Path) -> Vec<PathBuf> {
    for size in [0, 1, 59, 60, 61, 150, 4096, 100_000] {
        fs::write(root.join(format!("size-{size}")), vec![b'a' + (size % 26) as u8; size]).unwrap();
    }
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(9_000_000).unwrap();
    for offset in [0, 70_000, 1_000_000, 5_000_001] {
        sparse.write_all_at(&[7; 5000], offset).unwrap();
    }
    let unwritten = File::create(root.join("unwritten")).unwrap();
    // ext2 and ext3 do not have it.
    if posix::fallocate(&unwritten, FallocateFlags::empty(), 0, 400_000).is_ok() {
        unwritten.write_all_at(&[9; 3000], 100_000).unwrap();
        let behind = File::create(root.join("allocated-behind-its-end")).unwrap();
        behind.write_all_at(b"end", 0).unwrap();
        posix::fallocate(&behind, FallocateFlags::KEEP_SIZE, 0, 1 << 20).unwrap();
    }
    for pieces in PIECES {
        let file = File::create(root.join(format!("pieces-{pieces}"))).unwrap();
        for piece in 0..pieces {
            file.write_all_at(&[piece as u8 | 1; 4096], piece * 8192).unwrap();
        }
    }
    fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

/// Makes files on `image`, and compares them frozen and unmounted. The inode numbers of those in pieces.
fn is_read_as_by_the_kernel(images: &Images, image: &Path, kind: Kind) -> [u64; 2] {
    let mount = Mount::image(image, "rw");
    let files: Vec<_> = populate(&mount.point)
        .into_iter()
        .map(|path| (path.file_name().unwrap().to_owned(), inode_of(&path), fs::read(&path).unwrap()))
        .collect();
    let in_pieces = PIECES.map(|pieces| inode_of(&mount.path(format!("pieces-{pieces}"))));
    mount.freeze();
    let frozen = images.path("frozen");
    copy(image, &frozen);
    mount.thaw();
    drop(mount);
    for (moment, image) in [("frozen", &frozen), ("unmounted", &image.to_owned())] {
        let volume = Image::open(image);
        for (name, inode, expected) in &files {
            let read = content(&volume, kind, *inode).unwrap_or_else(|error| panic!("{moment}: {name:?}: {error}"));
            assert!(read == *expected, "{moment}: {name:?} differs");
        }
    }
    in_pieces
}

#[test]
fn files_of_xfs_are_read_as_by_the_kernel() {
    for options in [&[][..], &["-b", "size=1024"], &["-i", "size=2048"], &["-s", "size=4096"], &["-i", "nrext64=1"]] {
        let images = Images::new();
        let image = xfs(&images, "300M", options);
        let in_pieces = is_read_as_by_the_kernel(&images, &image, Kind::Xfs);
        let level = |inode| xfs_db(&image, &[&format!("inode {inode}"), "print u3.bmbt.level"]);
        let levels = in_pieces.map(|inode| level(inode).trim().to_owned());
        assert_eq!(levels, ["u3.bmbt.level = 1", "u3.bmbt.level = 2"], "{options:?}");
    }
}

/// Not every kernel mounts version 4, so its files are put there by mkfs.
#[test]
fn files_of_xfs_version_4_are_read() {
    let images = Images::new();
    let from = images.path("content");
    fs::write(&from, vec![0x5a; 123_456]).unwrap();
    let prototype = images.path("prototype");
    fs::write(&prototype, format!("/\n0 0\nd--755 0 0\ndata ---644 0 0 {}\n$\n", from.display())).unwrap();
    let image = xfs(&images, "300M", &["-m", "crc=0", "-p", prototype.to_str().unwrap()]);
    let volume = Image::open(&image);
    let found =
        (0..200).find_map(|inode| content(&volume, Kind::Xfs, 128 + inode).ok().filter(|read| !read.is_empty()));
    assert!(found.is_some_and(|read| read == vec![0x5a; 123_456]));
}

#[test]
fn files_of_ext2_ext3_and_ext4_are_read_as_by_the_kernel() {
    let flavours: [(&[&str], Kind); 6] = [
        (&["-t", "ext2"], Kind::Ext2),
        (&["-t", "ext2", "-b", "1024"], Kind::Ext2),
        (&["-t", "ext3"], Kind::Ext3),
        (&["-t", "ext4"], Kind::Ext4),
        (&["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"], Kind::Ext4),
        (&["-t", "ext4", "-O", "inline_data"], Kind::Ext4),
    ];
    for (options, kind) in flavours {
        let images = Images::new();
        let image = images.path("ext");
        ext4::make(&image, 64, options);
        is_read_as_by_the_kernel(&images, &image, kind);
    }
}

#[test]
fn a_file_that_is_only_in_the_journal_of_ext4_is_read() {
    let images = Images::new();
    let image = images.path("ext4");
    ext4::make(&image, 64, &["-t", "ext4"]);
    let mount = Mount::image(&image, "rw");
    mount.write_synced("synced", b"in the journal");
    let live = images.path("live");
    copy(&image, &live);
    assert_eq!(content(&Image::open(&live), Kind::Ext4, inode_of(&mount.path("synced"))).unwrap(), b"in the journal");
}

#[test]
fn inode_numbers_of_64_bits_are_read() {
    let images = Images::new();
    let image = xfs(&images, "6T", &["-l", "size=64m"]);
    let mount = Mount::image(&image, "rw,inode64");
    let path = (0..16).find_map(|number| {
        let folder = mount.path(format!("folder-{number}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("file"), "far behind").unwrap();
        Some(folder.join("file")).filter(|path| inode_of(path) > u32::MAX.into())
    });
    let inode = inode_of(&path.expect("a folder in a group far behind"));
    drop(mount);
    assert_eq!(content(&Image::open(&image), Kind::Xfs, inode).unwrap(), b"far behind");
}

#[test]
fn what_is_no_file_is_refused() {
    for (kind, options) in [(Kind::Xfs, &[][..]), (Kind::Ext4, &["-t", "ext4"]), (Kind::Ext2, &["-t", "ext2"])] {
        let images = Images::new();
        let image = images.path("image");
        if kind == Kind::Xfs {
            program::run("mv", &[&xfs(&images, "300M", options), &image]);
        } else {
            ext4::make(&image, 64, options);
        }
        let mount = Mount::image(&image, "rw");
        fs::create_dir(mount.path("folder")).unwrap();
        symlink("target", mount.path("link")).unwrap();
        fs::write(mount.path("removed"), "gone").unwrap();
        let [folder, link, removed] = ["folder", "link", "removed"].map(|name| inode_of(&mount.path(name)));
        mount.sync();
        fs::remove_file(mount.path("removed")).unwrap();
        drop(mount);
        let volume = Image::open(&image);
        let read = |inode| content(&volume, kind, inode);
        for inode in [folder, link] {
            assert!(matches!(read(inode), Err(FileError::NotRegular { .. })), "{kind}: {:?}", read(inode));
        }
        // The last is where ext keeps inodes that were never in use.
        for inode in [removed, 0, u32::MAX.into(), 1 << 33, 1 << 50, u64::MAX, removed + 1000] {
            assert!(matches!(read(inode), Err(FileError::NotThere { .. })), "{kind}: {inode}: {:?}", read(inode));
        }
    }
}

/// XFS gives back the blocks of inodes that were all removed, and they keep what they held.
#[test]
fn removed_files_are_not_there_though_their_inodes_still_are() {
    let images = Images::new();
    let image = xfs(&images, "300M", &["-b", "size=1024"]);
    let mount = Mount::image(&image, "rw");
    // In the root folder, so that they are in the first group.
    let path = |number| mount.path(format!("file-{number}"));
    for number in 0..6000 {
        fs::write(path(number), number.to_string()).unwrap();
    }
    // So that they are written to their places.
    mount.freeze();
    mount.thaw();
    let inodes: Vec<_> = (0..6000).map(|number| inode_of(&path(number))).collect();
    for number in (0..6000).filter(|number| !(1000..1010).contains(number)) {
        fs::remove_file(path(number)).unwrap();
    }
    drop(mount);
    let volume = Image::open(&image);
    let mut left = 0;
    for (number, inode) in inodes.iter().enumerate() {
        let read = content(&volume, Kind::Xfs, *inode);
        if (1000..1010).contains(&number) {
            assert_eq!(read.unwrap(), number.to_string().into_bytes());
        } else {
            assert!(matches!(read, Err(FileError::NotThere { .. })), "{number}: {read:?}");
            left += usize::from(volume.holds_regular_inode(*inode));
        }
    }
    assert!(left > 1000, "only {left} of them look like files");
}

#[test]
fn inodes_are_found_in_a_tree_of_several_levels() {
    let images = Images::new();
    let image = xfs(&images, "300M", &["-b", "size=1024", "-d", "agcount=1", "--unsupported"]);
    let mount = Mount::image(&image, "rw");
    fs::create_dir(mount.path("folder")).unwrap();
    let path = |number| mount.path(format!("folder/{number}"));
    for number in 0..12_000 {
        fs::write(path(number), number.to_string()).unwrap();
    }
    let inodes: Vec<_> = (0..12_000).map(|number| inode_of(&path(number))).collect();
    drop(mount);
    assert!(xfs_db(&image, &["agi 0", "print level"]).trim() != "level = 1");
    let volume = Image::open(&image);
    for (number, inode) in inodes.iter().enumerate() {
        assert_eq!(content(&volume, Kind::Xfs, *inode).unwrap(), number.to_string().into_bytes());
    }
}

#[test]
fn files_of_other_filesystems_are_not_read() {
    let refused = with_file(&vec![0; 4096], Kind::Ntfs, 5, |_| ()).unwrap_err();
    assert_eq!(refused.to_string(), "files on ntfs cannot be read here: only those of ext2, ext3, ext4 and xfs can");
}
