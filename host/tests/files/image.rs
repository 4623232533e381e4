//! Images made by mke2fs, and the program run on them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::unmount::unmount;

/// Runs a program to its end, which has to be a success.
pub fn run(program: &str, arguments: &[&OsStr]) -> Output {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program} cannot run: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

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
        File::create(self.image()).unwrap().set_len(size_mib << 20).unwrap();
        let options = ["-q", "-F", "-E", "lazy_itable_init=1,nodiscard"].iter().chain(options).map(OsStr::new);
        let image = self.image();
        run("mke2fs", &options.chain([image.as_os_str()]).collect::<Vec<_>>());
    }

    pub fn debugfs(&self, request: &str) -> String {
        let image = self.image();
        let output = run("debugfs", &["-w".as_ref(), "-R".as_ref(), request.as_ref(), image.as_os_str()]);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Mounts `image` through a loop device.
    pub fn mount(&self, image: &Path, options: &str) -> Mounted {
        let point = self.path("mount");
        fs::create_dir_all(&point).unwrap();
        let options = format!("loop,{options}");
        run("mount", &["-o".as_ref(), options.as_ref(), image.as_os_str(), point.as_os_str()]);
        Mounted { point }
    }

    /// The image as it is now.
    pub fn copy_image(&self, name: &str) -> PathBuf {
        let copy = self.path(name);
        run("cp", &["--sparse=always".as_ref(), self.image().as_os_str(), copy.as_os_str()]);
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

/// A loop mount, unmounted with the value.
pub struct Mounted {
    pub point: PathBuf,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.point);
    }
}

/// A path of bytes.
pub fn bytes(path: &[u8]) -> &OsStr {
    OsStr::from_bytes(path)
}
