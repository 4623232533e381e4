//! The header block and the checkpoint blocks.

use super::error::RedoError;
use super::ring::{LSN_END, START_BYTES};
use crate::ReadAt;
use crate::bytes::{be32, be64};
use crate::read_at::read;

/// `FORMAT_10_8`.
const FORMAT: u32 = 0x5068_7973;
/// `FORMAT_10_5`.
const FORMAT_10_5: u32 = 0x5048_5953;
/// `FORMAT_ENC_10_8` as the source had it first, and as servers since 10.11.15, 11.4.9 and 11.8.4 write it.
const ENCRYPTED: [u32; 2] = [FORMAT | 1 << 31, 0xf09f_979d];
const CHECKPOINTS: [u64; 2] = [4096, 8192];
const CREATOR: std::ops::Range<usize> = 16..48;
/// Where the key's version and the like are, in an encrypted log.
const CRYPT_OFFSET: usize = 48;
const HEADER_SUM_OFFSET: usize = 508;
const CHECKPOINT_SUM_OFFSET: usize = 60;

/// What the blocks before the ring say.
#[derive(Debug)]
pub(super) struct Header {
    /// The LSN at the beginning of the ring.
    pub first_lsn: u64,
    /// Unprintable bytes escaped.
    pub creator: String,
    pub checkpoint: Checkpoint,
}

/// A checkpoint: what is before `lsn` is in the data files; `end_lsn` is where the server was when it made it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checkpoint {
    pub lsn: u64,
    pub end_lsn: u64,
}

impl Header {
    pub fn read(file: &dyn ReadAt) -> Result<Self, RedoError> {
        if file.size_bytes() <= START_BYTES {
            let detail = format!("it has {} bytes", file.size_bytes());
            return Err(RedoError::NotThisFormat(detail));
        }
        let block = read(file, 0, 512, "redo log header")?;
        match be32(&block, 0) {
            FORMAT => {}
            format if ENCRYPTED.contains(&format) => return Err(RedoError::Encrypted),
            FORMAT_10_5 => return Err(RedoError::NotThisFormat("its format is that of MariaDB 10.5".into())),
            format => return Err(RedoError::NotThisFormat(format!("its format is {format:#x}"))),
        }
        if be32(&block, HEADER_SUM_OFFSET) != crc32c::crc32c(block.get(..HEADER_SUM_OFFSET).unwrap_or_default()) {
            return Err(RedoError::Bad("the checksum of its header is wrong".into()));
        }
        if be32(&block, CRYPT_OFFSET) != 0 {
            return Err(RedoError::Encrypted);
        }
        let first_lsn = be64(&block, 8);
        if be32(&block, 4) != 0 || first_lsn < START_BYTES {
            return Err(RedoError::Bad(format!("it begins at LSN {first_lsn}")));
        }
        let mut newest: Option<Checkpoint> = None;
        for at in CHECKPOINTS {
            let block = read(file, at, CHECKPOINT_SUM_OFFSET + 4, "redo log checkpoint")?;
            let found = Checkpoint::parse(&block).filter(|found| found.lsn >= first_lsn);
            newest = newest.into_iter().chain(found).max_by_key(|checkpoint| checkpoint.lsn);
        }
        let checkpoint = newest.ok_or_else(|| RedoError::Bad("it has no checkpoint that is whole".into()))?;
        Ok(Self { first_lsn, creator: text(block.get(CREATOR).unwrap_or_default()), checkpoint })
    }
}

impl Checkpoint {
    fn parse(block: &[u8]) -> Option<Self> {
        let (content, checkpoint) =
            (block.get(..CHECKPOINT_SUM_OFFSET)?, Self { lsn: be64(block, 0), end_lsn: be64(block, 8) });
        let is_whole = be32(block, CHECKPOINT_SUM_OFFSET) == crc32c::crc32c(content);
        let is_zero = content.get(16..)?.iter().all(|&byte| byte == 0);
        (is_whole && is_zero && (checkpoint.lsn..LSN_END).contains(&checkpoint.end_lsn)).then_some(checkpoint)
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).escape_debug().collect()
}
