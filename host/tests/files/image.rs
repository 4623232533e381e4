//! Images made by mke2fs, and the program run on them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use stillpoint_tests::machine;
use tempfile::TempDir;

/// What the program printed, and how it ended.
pub struct Ran {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// `stillpoint ARGUMENTS`.
pub fn stillpoint<S: AsRef<OsStr>>(arguments: &[S]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_stillpoint")).args(arguments).output().unwrap();
    Ran {
        code: output.status.code().expect("it ended by itself"),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder for an image and what is copied out of it, gone with the value.
pub struct Lab {
    dir: TempDir,
}

impl Lab {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn image(&self) -> PathBuf {
        self.path("image")
    }

    /// `mke2fs` on a sparse file.
    pub fn mke2fs(&self, size_mib: u64, options: &[&str]) {
        machine::ext4::make(&self.image(), size_mib, options);
    }

    pub fn debugfs(&self, request: &str) -> String {
        machine::ext4::debugfs(&self.image(), request)
    }

    /// The image as it is now.
    pub fn copy_image(&self, name: &str) -> PathBuf {
        let copy = self.path(name);
        machine::image::copy(&self.image(), &copy);
        copy
    }

    /// `stillpoint cp IMAGE PLACE DEST`.
    pub fn cp(&self, place: impl AsRef<OsStr>, destination: &Path, options: &[&str]) -> Ran {
        let image = self.image();
        let mut arguments = vec!["cp".as_ref(), image.as_os_str(), place.as_ref(), destination.as_os_str()];
        arguments.extend(options.iter().map(OsStr::new));
        stillpoint(&arguments)
    }

    /// The first place of a folder's entry in the image: of its name, whose length stands two bytes before.
    pub fn entry(&self, name: &str) -> usize {
        let bytes = fs::read(self.image()).unwrap();
        let is_entry = |at: &usize| {
            bytes[*at..].starts_with(name.as_bytes()) && usize::from(bytes[at - 2]) == name.len() && bytes[at - 1] < 8
        };
        (1024..bytes.len() - name.len()).find(is_entry).unwrap()
    }
}

/// A path of bytes.
pub fn bytes(path: &[u8]) -> &OsStr {
    OsStr::from_bytes(path)
}
