//! Mounts.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread::{panicking, sleep};
use std::time::Duration;

use tempfile::TempDir;

use super::alone::{Alone, Mounting, mounting};
use super::program::{run, text, try_run};

/// Something mounted at a folder of its own. Thawed and unmounted with the value.
#[derive(Debug)]
pub struct Mount {
    /// Where.
    pub point: PathBuf,
    // Fields go in this order, after the mount itself.
    _folder: TempDir,
    _turn: Option<Mounting>,
}

impl Mount {
    /// Mounts `image` through a loop device, with `options` of mount(8).
    #[track_caller]
    pub fn image(image: &Path, options: &str) -> Self {
        Self::try_image(image, options).unwrap_or_else(|refused| panic!("mount -o {options}: {}", text(&refused)))
    }

    /// The same where the kernel may refuse it.
    ///
    /// # Errors
    /// What mount(8) said.
    pub fn try_image(image: &Path, options: &str) -> Result<Self, Output> {
        let options = format!("loop,{options}");
        Self::at_new_point(&["-o".as_ref(), options.as_ref(), image.as_os_str()], Some(mounting()))
    }

    /// A filesystem in memory, of `size` as tmpfs(5) writes it.
    #[track_caller]
    pub fn tmpfs(size: &str) -> Self {
        let options = format!("size={size}");
        let arguments = ["-t", "tmpfs", "-o", &options, "tmpfs"];
        Self::at_new_point(&arguments, Some(mounting())).unwrap_or_else(|refused| panic!("tmpfs: {}", text(&refused)))
    }

    fn at_new_point<S: AsRef<OsStr>>(arguments: &[S], turn: Option<Mounting>) -> Result<Self, Output> {
        let folder = tempfile::tempdir().unwrap();
        let point = folder.path().to_owned();
        let arguments = arguments.iter().map(AsRef::as_ref).chain([point.as_os_str()]);
        let mounted = try_run("mount", &arguments.collect::<Vec<_>>());
        if mounted.status.success() { Ok(Self { point, _folder: folder, _turn: turn }) } else { Err(mounted) }
    }

    /// A name in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.point.join(name)
    }

    /// Writes a file and waits until the kernel has committed it.
    pub fn write_synced(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        File::open(&path).unwrap().sync_all().unwrap();
    }

    /// Writes out all of it.
    pub fn sync(&self) {
        run("sync", &["--file-system".as_ref(), self.point.as_os_str()]);
    }

    /// Freezes it.
    pub fn freeze(&self) {
        run("fsfreeze", &["-f".as_ref(), self.point.as_os_str()]);
    }

    /// Thaws it.
    pub fn thaw(&self) {
        assert!(self.try_thaw(), "{} was not frozen", self.point.display());
    }

    /// Thaws it if it is frozen. Whether it was.
    pub fn try_thaw(&self) -> bool {
        try_run("fsfreeze", &["-u".as_ref(), self.point.as_os_str()]).status.success()
    }
}

impl Alone {
    /// Mounts `image` through a loop device, with `options` of mount(8).
    #[track_caller]
    pub fn mount(&self, image: &Path, options: &str) -> Mount {
        let options = format!("loop,{options}");
        Mount::at_new_point(&["-o".as_ref(), options.as_ref(), image.as_os_str()], None)
            .unwrap_or_else(|refused| panic!("mount -o {options}: {}", text(&refused)))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.try_thaw();
        let umount = || try_run("umount", &[&self.point]);
        // As often as needed: a program that another test is just starting holds, until it runs, whatever was open here.
        for _ in 0..50 {
            if umount().status.success() {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        let last = umount();
        // So that at least it goes away with its last user.
        try_run("umount", &["--lazy".as_ref(), self.point.as_os_str()]);
        // A second panic would end the whole program, and hide the first.
        assert!(last.status.success() || panicking(), "{}", text(&last));
    }
}
