//! Loop devices.

use std::path::Path;

use super::program::{run, text, try_run};

/// A loop device over an image, detached with the value.
#[derive(Debug)]
pub struct LoopDevice {
    /// `/dev/loopN`.
    pub path: String,
}

impl LoopDevice {
    /// `losetup OPTIONS`: over all of `image` where they say no other.
    pub fn new(image: &Path, options: &[&str]) -> Self {
        let arguments = [&["--find", "--show"], options, &[image.to_str().unwrap()]].concat();
        Self { path: run("losetup", &arguments).trim().into() }
    }

    /// Over a part of `image`.
    pub fn of_part(image: &Path, offset_bytes: u64, size_bytes: u64) -> Self {
        let (offset, size) = (offset_bytes.to_string(), size_bytes.to_string());
        Self::new(image, &["--offset", &offset, "--sizelimit", &size])
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let detached = try_run("losetup", &["--detach", &self.path]);
        // A second panic would end the whole program, and hide the first.
        assert!(detached.status.success() || std::thread::panicking(), "{}: {}", self.path, text(&detached));
    }
}
