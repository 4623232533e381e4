//! A disk of a guest as a backup finds it: an ext4 that was unmounted or frozen, with a file in it into which a marker can be laid, and
//! a binlog.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

/// The inode of the marker.
pub const MARKER_INODE: u64 = 12;
/// The inode of the binlog.
pub const BINLOG_INODE: u64 = 13;

/// What the file holds before.
const PLACEHOLDER: &[u8; 69] = b"where a marker will be, which is as long as this line. 1234567890123\n";

/// Runs one of e2fsprogs, at a time that is always the same.
fn e2fs(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).env("E2FSPROGS_FAKE_TIME", "1700000000").args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}, of the package e2fsprogs: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The disk.
#[derive(Debug, Clone)]
pub struct GuestImage {
    /// All of it.
    pub bytes: Vec<u8>,
    marker_offset: u64,
}

impl GuestImage {
    /// Makes one of 8 MiB, the same bytes each time, with this binlog, and has debugfs do `requests` to it.
    pub fn make(binlog: &[u8], requests: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let image = folder.path().join("fs.img");
        let seed = "hash_seed=00000000-0000-4000-8000-000000000002";
        let uuid = "00000000-0000-4000-8000-000000000001";
        let path = image.to_str().unwrap();
        e2fs("mke2fs", &["-q", "-F", "-t", "ext4", "-b", "1024", "-U", uuid, "-E", seed, path, "8M"]);
        let debugfs = |request: &str| e2fs("debugfs", &["-w", "-R", request, path]);
        debugfs(&format!("write {} marker", file("marker", PLACEHOLDER)));
        debugfs(&format!("write {} binlog", file("binlog", binlog)));
        requests.iter().for_each(|request| drop(debugfs(request)));
        assert_eq!(debugfs(&format!("cat <{MARKER_INODE}>")), PLACEHOLDER);
        let bytes = fs::read(image).unwrap();
        let at = bytes.windows(PLACEHOLDER.len()).position(|window| window == PLACEHOLDER).unwrap();
        Self { bytes, marker_offset: at as u64 }
    }

    /// Lays a marker with this content into a disk that holds this image.
    pub fn mark(&self, disk: &Path, content: &[u8]) {
        assert_eq!(content.len(), PLACEHOLDER.len(), "{}", String::from_utf8_lossy(content));
        File::options().write(true).open(disk).unwrap().write_all_at(content, self.marker_offset).unwrap();
    }
}
