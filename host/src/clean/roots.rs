//! Where the kernel shows what is there, and reading it: bounded, and best effort, because a process that ends meanwhile is not there.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What is read of one file.
const MAX_READ: u64 = 4 << 20;

/// Where the kernel's files are.
#[derive(Clone, Debug)]
pub struct Roots {
    /// `/proc`, proc(5).
    pub proc: PathBuf,
    /// `/sys`, sysfs(5).
    pub sys: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into() }
    }
}

/// The beginning of a file; empty where it cannot be read.
pub(super) fn read(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be read is as good as empty: the process has ended, or it is no device of that kind.
    fs::File::open(file).and_then(|file| file.take(MAX_READ).read_to_end(&mut bytes)).ok();
    bytes
}

/// The same as text, without the line feed at its end.
pub(super) fn read_text(file: &Path) -> String {
    String::from_utf8_lossy(&read(file)).trim_end().to_owned()
}

/// What is in a folder, sorted; nothing where it cannot be read.
pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default();
    entries.sort();
    entries
}

/// The last part of a path, as text.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
