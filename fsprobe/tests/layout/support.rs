//! Images with bytes changed, the checksum of LVM2, and the codes of findings.

use std::borrow::Cow;

use fsprobe::Finding;

/// The code of a finding that was made here, and not read from a file.
pub fn code(finding: &Finding) -> &'static str {
    match finding.code {
        Cow::Borrowed(code) => code,
        Cow::Owned(_) => panic!("{finding:?} was read from a file"),
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
