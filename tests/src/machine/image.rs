//! Image files.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::program::run;

/// A folder for images, gone with the value.
#[derive(Debug)]
pub struct Images {
    folder: TempDir,
}

impl Images {
    /// An empty one.
    #[allow(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A name in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new image of zeros in it.
    pub fn blank(&self, name: impl AsRef<Path>, size_bytes: u64) -> PathBuf {
        let path = self.path(name);
        blank(&path, size_bytes);
        path
    }
}

/// Makes a sparse file of zeros, in place of what was there.
pub fn blank(path: &Path, size_bytes: u64) {
    File::create(path).unwrap().set_len(size_bytes).unwrap();
}

/// Copies an image as it is at this moment, holes as holes.
pub fn copy(image: &Path, to: &Path) {
    run("cp", &["--sparse=always".as_ref(), image, to]);
}
