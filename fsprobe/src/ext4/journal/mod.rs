//! The journal (jbd2): what a replay would do, worked out without writing.
//!
//! <https://docs.kernel.org/filesystems/ext4/journal.html>; all its numbers are big-endian.
//!
//! [`Log`] reads journal blocks, [`scan`] finds the committed transactions as the kernel's `do_one_pass(PASS_SCAN)` does,
//! and [`replay`] says which journal block replaces which filesystem block. No block is kept in memory.

mod blocks;
mod descriptor;
mod fast_commit;
mod replay;
mod revoke;
mod scan;
mod superblock;

pub use blocks::Log;
pub(super) use fast_commit::{FastCommits, Name, Record};
pub use replay::{Copied, Replay, replay};
pub use superblock::{ChecksumVersion, JournalSuperblock};

use super::fields::be32;

const MAGIC: u32 = 0xc03b_3998;
/// Bytes of the header that begins every block of the journal's own.
const HEADER_SIZE: usize = 12;
/// Bytes at the end of descriptor and revoke blocks, with checksum version 2 or 3.
const TAIL_SIZE: usize = 4;

/// What the journal's own blocks say they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BlockType {
    Descriptor,
    Commit,
    Revoke,
}

/// The header of a block of the journal's own: its type, and the transaction that it belongs to.
struct Header {
    block_type: Option<BlockType>,
    h_sequence: u32,
}

impl Header {
    /// `None` where the block is not one of the journal's own.
    fn parse(block: &[u8]) -> Option<Self> {
        (be32(block, 0) == MAGIC).then(|| Self {
            block_type: match be32(block, 4) {
                1 => Some(BlockType::Descriptor),
                2 => Some(BlockType::Commit),
                5 => Some(BlockType::Revoke),
                _ => None,
            },
            h_sequence: be32(block, 8),
        })
    }
}
