//! One record of the log: a header block, with more of them for data beyond 32 KiB, and the data.
//!
//! `struct xlog_rec_header` and `struct xlog_rec_ext_header` of `fs/xfs/libxfs/xfs_log_format.h`.

use crate::bytes::{be32, be64, has, le32, u8_at};

pub(super) const BLOCK: usize = 512;
const XLOG_HEADER_MAGIC_NUM: u32 = 0xfeed_babe;
const XLOG_UNMOUNT_TRANS: u8 = 0x20;
const XLOG_HEADER_CYCLE_SIZE: u32 = 32 << 10;
/// Both versions; a header has one bit or both set.
const XLOG_VERSION_OKBITS: u32 = 1 | 2;
/// The structure's length as 64-bit machines pad it, and as i386 does not: both have been summed up.
const HEADER_BYTES: [usize; 2] = [328, 324];
const EXT_HEADER_BYTES: usize = 260;

/// The fields that matter here.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Where it begins.
    pub block: u64,
    pub h_version: u32,
    pub h_len: u32,
    pub h_tail_lsn: u64,
    pub h_num_logops: u32,
    pub h_size: u32,
    pub h_fs_uuid: [u8; 16],
}

/// Whether a block begins a record. Every other block begins with the number of its cycle.
pub(super) fn is_header(block: &[u8]) -> bool {
    be32(block, 0) == XLOG_HEADER_MAGIC_NUM
}

/// The pass that a block was written in.
pub(super) fn cycle_of(block: &[u8]) -> u32 {
    if is_header(block) { be32(block, 4) } else { be32(block, 0) }
}

impl Record {
    pub fn parse(block: u64, header: &[u8]) -> Self {
        let mut h_fs_uuid = [0; 16];
        h_fs_uuid.copy_from_slice(header.get(304..320).unwrap_or(&[0; 16]));
        Self {
            block,
            h_version: be32(header, 8),
            h_len: be32(header, 12),
            h_tail_lsn: be64(header, 24),
            h_num_logops: be32(header, 40),
            h_size: be32(header, 320),
            h_fs_uuid,
        }
    }

    /// Version 2 keeps the first words of 32 KiB of data in each header block.
    pub fn header_blocks(&self) -> u64 {
        let cycles = self.h_size.div_ceil(XLOG_HEADER_CYCLE_SIZE).max(1);
        if self.h_version & 2 != 0 { u64::from(cycles) } else { 1 }
    }

    pub fn blocks(&self) -> u64 {
        self.header_blocks() + u64::from(self.h_len).div_ceil(BLOCK as u64)
    }

    /// The tail of the log when this was written.
    pub fn tail_block(&self) -> u64 {
        self.h_tail_lsn & 0xffff_ffff
    }

    /// Whether it is the one that an unmount leaves; `data` is its first block behind the headers.
    pub fn is_unmount(&self, data: &[u8]) -> bool {
        self.h_num_logops == 1 && u8_at(data, 9) & XLOG_UNMOUNT_TRANS != 0
    }

    /// Whether a recovery would take `bytes`, the whole record, as `xlog_valid_rec_header` and `xlog_cksum` do.
    ///
    /// A checksum of zero is none: mkfs writes it.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        let known = self.h_version != 0 && self.h_version & !XLOG_VERSION_OKBITS == 0;
        let headers = usize::try_from(self.header_blocks()).unwrap_or(usize::MAX).saturating_mul(BLOCK);
        let length = usize::try_from(self.h_len).unwrap_or(usize::MAX);
        let Some(data) = bytes.get(headers..).and_then(|rest| rest.get(..length)) else { return false };
        if !is_header(bytes) || !known || data.is_empty() {
            return false;
        }
        let h_crc = le32(bytes, 32);
        let extended = self.h_len.div_ceil(XLOG_HEADER_CYCLE_SIZE).max(1);
        let extended = if self.h_version & 2 != 0 { extended as usize } else { 1 };
        let sum = |header_bytes: usize| {
            let mut crc = crc32c::crc32c(bytes.get(..32).unwrap_or_default());
            crc = crc32c::crc32c_append(crc, &[0; 4]);
            crc = crc32c::crc32c_append(crc, bytes.get(36..header_bytes).unwrap_or_default());
            for header in 1..extended {
                let at = header * BLOCK;
                crc = crc32c::crc32c_append(crc, bytes.get(at..at + EXT_HEADER_BYTES).unwrap_or_default());
            }
            crc32c::crc32c_append(crc, data)
        };
        has(bytes, 32, &[0; 4]) || HEADER_BYTES.iter().any(|&header_bytes| sum(header_bytes) == h_crc)
    }
}
