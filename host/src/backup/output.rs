//! One disk's artifact in the making.

use std::io::Write;
use std::path::Path;

use image::artifact::{Partial, Stream};

/// One disk's artifact in the making.
#[derive(Debug)]
pub enum Image {
    /// A file that is not yet named.
    File(Partial),
    /// Standard output.
    Stream(Stream),
}

impl Image {
    /// What the artifact will be called; `-` is standard output.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(partial) => file_name(partial.target().path()),
            Self::Stream(_) => "-".to_owned(),
        }
    }
}

impl Write for Image {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::File(partial) => partial.write(buf),
            Self::Stream(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::File(partial) => partial.flush(),
            Self::Stream(stream) => stream.flush(),
        }
    }
}

/// The last part of a path, for a receipt.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
