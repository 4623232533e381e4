//! A medium that fails. Included by path.

use std::io;

use fsprobe::ReadAt;

/// Fails with `EIO` from some byte on.
pub struct Failing<'i> {
    pub image: &'i [u8],
    pub from_byte: u64,
}

impl ReadAt for Failing<'_> {
    fn size_bytes(&self) -> u64 {
        self.image.size_bytes()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<()> {
        if offset_bytes + buf.len() as u64 > self.from_byte {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.image.read_exact_at(buf, offset_bytes)
    }
}
