//! Images made by mke2fs, written to by the kernel through a loop mount, and copied while it is mounted.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fsprobe::ReadAt;
use stillpoint_tests::machine;
use stillpoint_tests::machine::mount::Mount;
use tempfile::TempDir;

/// Options for a mount with a journal whose image is copied: else the kernel commits what is pending, and writes inode
/// tables, of its own accord, and the copy is not of one moment.
pub const STILL: &str = "commit=600,noinit_itable";

/// An image file, read at any offset.
pub struct Image {
    file: File,
    size_bytes: u64,
}

impl Image {
    pub fn open(path: &Path) -> Self {
        let file = File::open(path).unwrap();
        let size_bytes = file.metadata().unwrap().len();
        Self { file, size_bytes }
    }
}

impl ReadAt for Image {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        FileExt::read_exact_at(&self.file, buf, offset_bytes)
    }
}

/// A folder with one image in it, both gone with the value.
pub struct Made {
    pub dir: TempDir,
    pub path: PathBuf,
}

impl Made {
    /// `mke2fs` with `options` on a sparse file of `size_mib`.
    pub fn mke2fs(size_mib: u64, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        machine::ext4::make(&path, size_mib, options);
        Self { dir, path }
    }

    pub fn open(&self) -> Image {
        Image::open(&self.path)
    }

    pub fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    /// A copy of the image as it is now.
    pub fn copy(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copy");
        machine::image::copy(&self.path, &path);
        Self { dir, path }
    }

    pub fn debugfs(&self, request: &str) -> String {
        machine::ext4::debugfs(&self.path, request)
    }

    /// Mounts it through a loop device.
    pub fn mount(&self, options: &str) -> Mount {
        Mount::image(&self.path, options)
    }

    /// Whether the kernel mounts it.
    pub fn is_mounted_with(&self, options: &str) -> bool {
        let mounted = Mount::try_image(&self.path, options);
        // 32 is mount(8)'s for a mount that failed, and not its tools.
        mounted.map_err(|refused| assert_eq!(refused.status.code(), Some(32), "{refused:?}")).is_ok()
    }
}
