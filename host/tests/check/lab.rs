//! Images made by the real tools, and the program run on them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use serde_json::Value;
use tempfile::TempDir;

use crate::unmount::unmount;

/// Runs a program to its end, which has to be a success, and returns what it printed.
pub fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `check --json` said.
pub struct Checked {
    pub code: i32,
    pub document: Value,
    pub stderr: String,
}

/// `stillpoint check TARGET --json OPTIONS`.
pub fn check<S: AsRef<OsStr> + ?Sized>(target: &S, options: &[&str]) -> Checked {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stillpoint"));
    let output = command.args(["check", "--json"]).args(options).arg(target).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}; {stderr}"));
    Checked { code: output.status.code().expect("it ended by itself"), document, stderr }
}

/// Code, place and detail of each finding.
pub fn findings(findings: &Value) -> Vec<(String, String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = findings.as_array().unwrap().iter();
    findings.map(|finding| (text(finding, "code"), text(finding, "where"), text(finding, "detail"))).collect()
}

/// A folder, gone with the value.
pub struct Lab {
    folder: TempDir,
}

impl Lab {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of zeros.
    pub fn blank(&self, name: impl AsRef<Path>, size_bytes: u64) -> PathBuf {
        let path = self.path(name);
        File::create(&path).unwrap().set_len(size_bytes).unwrap();
        path
    }

    /// A GPT with two partitions of 16 MiB, each an ext4.
    pub fn two_filesystems(&self) -> PathBuf {
        let path = self.blank("disk.img", 34 << 20);
        let image = path.to_str().unwrap();
        run("sfdisk", &["--quiet", "--no-tell-kernel", image], "label: gpt\nstart=2048, size=16MiB\nsize=16MiB\n");
        for offset in ["1048576", "17825792"] {
            mke2fs(image, offset, "16m");
        }
        path
    }
}

/// An ext4 in the image, from that byte on.
pub fn mke2fs(image: &str, offset_bytes: &str, size: &str) {
    let extended = format!("offset={offset_bytes},nodiscard");
    run("mke2fs", &["-q", "-F", "-t", "ext4", "-E", &extended, image, size], "");
}

/// A loop device, gone when this is.
pub struct Loop {
    pub device: String,
}

impl Loop {
    pub fn new(options: &[&str], image: &Path) -> Self {
        let arguments = [&["--find", "--show"], options, &[image.to_str().unwrap()]].concat();
        Self { device: run("losetup", &arguments, "").trim().into() }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        run("losetup", &["--detach", &self.device], "");
    }
}

/// A mount namespace that is made while something is mounted keeps it mounted after its `umount` here. So those who mount
/// read this, and who makes a namespace writes.
pub static NAMESPACE: RwLock<()> = RwLock::new(());

/// A mount, gone when this is.
pub struct Mount {
    point: String,
    _one_namespace: RwLockReadGuard<'static, ()>,
}

impl Mount {
    pub fn new(arguments: &[&str], point: &Path) -> Self {
        let one_namespace = NAMESPACE.read().unwrap_or_else(PoisonError::into_inner);
        std::fs::create_dir_all(point).unwrap();
        let point = point.to_str().unwrap().to_owned();
        run("mount", &[arguments, &[&point]].concat(), "");
        Self { point, _one_namespace: one_namespace }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.point).join(name)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        unmount(Path::new(&self.point));
    }
}
