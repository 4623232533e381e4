//! The content of a file, its holes left as holes.

use std::os::fd::OwnedFd;

use fsprobe::ReadAt;
use fsprobe::ext4::files::Node;
use rustix::fs;
use rustix::io::{self, Errno};

use super::Extraction;
use super::trouble::Trouble;

const CHUNK_BYTES: u64 = 1 << 20;

impl Extraction<'_> {
    /// Writes what is in `node` into the empty `file`.
    pub(super) fn write_content(&mut self, file: &OwnedFd, node: &Node) -> Result<(), Trouble> {
        let content = self.filesystem.content(node)?;
        let mut chunk = Vec::new();
        for extent in content.data() {
            self.charge(extent.size_bytes)?;
            let mut offset_bytes = extent.offset_bytes;
            while offset_bytes < extent.end_bytes() {
                if self.stop.check().is_err() {
                    return Err(Trouble::Stopped);
                }
                let length_bytes = CHUNK_BYTES.min(extent.end_bytes() - offset_bytes);
                chunk.resize(usize::try_from(length_bytes).unwrap_or_default(), 0);
                content.read_exact_at(&mut chunk, offset_bytes).map_err(|source| Trouble::Content {
                    offset_bytes,
                    length_bytes,
                    source,
                })?;
                write_all_at(file, &chunk, offset_bytes).map_err(|error| Trouble::write("write to it", error))?;
                self.report.copied.data_bytes += length_bytes;
                offset_bytes += length_bytes;
            }
        }
        fs::ftruncate(file, content.size_bytes()).map_err(|error| Trouble::write("set its length", error))
    }
}

fn write_all_at(file: &OwnedFd, mut bytes: &[u8], mut offset_bytes: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = match io::pwrite(file, bytes, offset_bytes) {
            Ok(0) => return Err(Errno::IO),
            Err(Errno::INTR) => continue,
            written => written?,
        };
        bytes = bytes.get(written..).unwrap_or_default();
        offset_bytes += written as u64;
    }
    Ok(())
}
