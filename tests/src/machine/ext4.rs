//! ext2, ext3 and ext4 as e2fsprogs make and change them.

use std::path::Path;

use super::image::blank;
use super::program::run;

/// `mke2fs OPTIONS` on a new sparse file of `size_mib`. Inode tables stay unwritten, so that the file stays small.
pub fn make(image: &Path, size_mib: u64, options: &[&str]) {
    blank(image, size_mib << 20);
    let image = [image.to_str().unwrap()];
    run("mke2fs", &[&["-q", "-F", "-E", "lazy_itable_init=1,nodiscard"], options, &image].concat());
}

/// `mke2fs -t ext4` inside a disk's image, from `offset_bytes` on.
pub fn make_at(image: &Path, offset_bytes: u64, size_mib: u64, options: &[&str]) {
    let extended = format!("offset={offset_bytes},nodiscard");
    let first = ["-q", "-F", "-t", "ext4", "-E", &extended];
    run("mke2fs", &[&first[..], options, &[image.to_str().unwrap(), &format!("{size_mib}m")]].concat());
}

/// Has debugfs do `request`, which may change the image, and gives what it prints.
pub fn debugfs(image: &Path, request: &str) -> String {
    run("debugfs", &["-w".as_ref(), "-R".as_ref(), request.as_ref(), image.as_os_str()])
}
