//! Images made by the real tools, in a folder that goes away with the test.

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fsprobe::Finding;

use crate::unmount::unmount;

pub struct Images {
    folder: tempfile::TempDir,
}

impl Images {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An image of zeros.
    pub fn blank(&self, name: &str, size_bytes: u64) -> PathBuf {
        let path = self.path(name);
        std::fs::File::create(&path).unwrap().set_len(size_bytes).unwrap();
        path
    }
}

/// The code of a finding that was made here, and not read from a file.
pub fn code(finding: &Finding) -> &'static str {
    match finding.code {
        Cow::Borrowed(code) => code,
        Cow::Owned(_) => panic!("{finding:?} was read from a file"),
    }
}

/// Runs a program that has to succeed and returns its output.
pub fn run(program: &str, args: &[&str]) -> String {
    run_with(program, args, "")
}

pub fn run_with(program: &str, args: &[&str], input: &str) -> String {
    use std::io::Write;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A loop device over a part of an image, gone when this is.
pub struct Loop {
    pub device: String,
}

impl Loop {
    pub fn new(image: &str, offset_bytes: u64, size_bytes: u64) -> Self {
        let (offset, size) = (offset_bytes.to_string(), size_bytes.to_string());
        let device = run("losetup", &["--find", "--show", "--offset", &offset, "--sizelimit", &size, image]);
        Self { device: device.trim().into() }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        run("losetup", &["--detach", &self.device]);
    }
}

/// A mounted image, unmounted when this goes.
pub struct Mount {
    pub folder: tempfile::TempDir,
}

impl Mount {
    pub fn new(image: &str, options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        run("mount", &["-o", options, image, folder.path().to_str().unwrap()]);
        Self { folder }
    }

    pub fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        unmount(self.folder.path());
    }
}

/// An image file, with some bytes changed in memory.
pub struct Patched {
    file: std::fs::File,
    size_bytes: u64,
    pub patches: Vec<(u64, u8)>,
}

impl Patched {
    pub fn open(path: &std::path::Path) -> Self {
        let file = std::fs::File::open(path).unwrap();
        let size_bytes = file.metadata().unwrap().len();
        Self { file, size_bytes, patches: Vec::new() }
    }

    /// The same image, cut.
    pub fn truncated(mut self, size_bytes: u64) -> Self {
        self.size_bytes = size_bytes;
        self
    }
}

impl fsprobe::ReadAt for Patched {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> std::io::Result<()> {
        use std::os::unix::fs::FileExt;
        let end = offset_bytes.checked_add(buf.len() as u64).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        if end > self.size_bytes {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(buf, offset_bytes)?;
        for &(at, byte) in self.patches.iter().filter(|(at, _)| (offset_bytes..end).contains(at)) {
            buf[usize::try_from(at - offset_bytes).unwrap()] = byte;
        }
        Ok(())
    }
}

/// LVM2's checksum (`lib/misc/crc.c`): that of zlib with another start, bit by bit.
pub fn lvm_crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xf597_a6cf, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}
