//! Images made by mke2fs, written to by the kernel through a loop mount, and copied while it is mounted.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fsprobe::ReadAt;
use tempfile::TempDir;

use crate::unmount::unmount;

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

/// Runs a program to its end; any of `codes` is a success.
pub fn run(program: &str, arguments: &[&str], codes: &[i32]) -> Output {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program} cannot run: {error}"));
    let code = output.status.code();
    assert!(
        code.is_some_and(|code| codes.contains(&code)),
        "{program} {arguments:?}: {code:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
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
        File::create(&path).unwrap().set_len(size_mib << 20).unwrap();
        let image = path.to_str().unwrap();
        run("mke2fs", &[&["-q", "-F", "-E", "lazy_itable_init=1,nodiscard"], options, &[image]].concat(), &[0]);
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
        run("cp", &["--sparse=always", self.path.to_str().unwrap(), path.to_str().unwrap()], &[0]);
        Self { dir, path }
    }

    pub fn debugfs(&self, request: &str) -> String {
        let output = run("debugfs", &["-w", "-R", request, self.path.to_str().unwrap()], &[0]);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Mounts it through a loop device.
    pub fn mount(&self, options: &str) -> Mounted {
        let point = self.dir.path().join("mount");
        fs::create_dir_all(&point).unwrap();
        let options = format!("loop,{options}");
        run("mount", &["-o", &options, self.path.to_str().unwrap(), point.to_str().unwrap()], &[0]);
        Mounted { point, is_frozen: false }
    }
}

/// A loop mount, thawed and unmounted with the value.
pub struct Mounted {
    pub point: PathBuf,
    is_frozen: bool,
}

impl Mounted {
    /// Writes a file and waits until the kernel has committed it.
    pub fn write_synced(&self, name: &str, content: &[u8]) {
        let path = self.point.join(name);
        fs::write(&path, content).unwrap();
        File::open(&path).unwrap().sync_all().unwrap();
    }

    pub fn freeze(&mut self) {
        run("fsfreeze", &["-f", self.point.to_str().unwrap()], &[0]);
        self.is_frozen = true;
    }

    pub fn thaw(&mut self) {
        run("fsfreeze", &["-u", self.point.to_str().unwrap()], &[0]);
        self.is_frozen = false;
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_frozen {
            run("fsfreeze", &["-u", self.point.to_str().unwrap()], &[0]);
        }
        unmount(&self.point);
    }
}
