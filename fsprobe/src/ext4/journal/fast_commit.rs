//! Fast commits: records of what was done since the last full commit, in an area at the journal's end.
//!
//! <https://docs.kernel.org/filesystems/ext4/journal.html#fast-commits>; its numbers are little-endian. Which of them count
//! is decided as the kernel's `ext4_fc_replay_scan()` does.

use super::super::checksum::crc32c_le;
use super::super::extent_tree;
use super::super::fault::Fault;
use super::super::fields::{le16, le32};
use super::super::piece::Run;
use super::blocks::Log;
use crate::Finding;

const TAG_ADD_RANGE: u16 = 1;
const TAG_DELETE_RANGE: u16 = 2;
const TAG_CREATE: u16 = 3;
const TAG_LINK: u16 = 4;
const TAG_UNLINK: u16 = 5;
const TAG_INODE: u16 = 6;
const TAG_PAD: u16 = 7;
const TAG_TAIL: u16 = 8;
const TAG_HEAD: u16 = 9;
/// `fc_tag`, `fc_len`.
const TAG_SIZE: usize = 4;
/// How long an area is followed, which all its records are kept from; mke2fs makes one of 64 to 256 blocks.
const MAX_AREA_BYTES: u64 = 16 << 20;

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Record {
    /// Blocks of a file are where the run says.
    AddRange { inode: u32, run: Run },
    /// Blocks of a file are nowhere any more.
    DeleteRange { inode: u32, first_block: u64, length_blocks: u64 },
    /// A file was made, with its first name.
    Create(Name),
    /// A file got a name.
    Link(Name),
    /// A file lost a name.
    Unlink(Name),
    /// The fields of an inode, from its first byte on; what it maps is not among them.
    Inode { inode: u32, fields: Vec<u8> },
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Name {
    pub(in super::super) directory: u32,
    pub(in super::super) inode: u32,
    /// 1 to 255 bytes.
    pub(in super::super) name: Vec<u8>,
}

/// Whole fast commits.
#[derive(Debug, Default)]
pub(in super::super) struct FastCommits {
    pub(in super::super) count: u32,
    /// What they say, in order. At most as long as the area.
    pub(in super::super) records: Vec<Record>,
    /// Why the kernel would not replay them, nor mount.
    pub(in super::super) damage: Option<Finding>,
}

/// Reads the fast commits that follow the full commits before transaction `sequence`.
///
/// # Errors
/// `fast-commit-area`: there is more than is looked at; those of reading.
pub(super) fn scan(log: &Log<'_, '_>, sequence: u32) -> Result<FastCommits, Fault> {
    let mut found = FastCommits::default();
    let mut pending = Vec::new();
    let mut crc = 0;
    // jbd2 leaves the block after the log proper unused.
    let first = log.superblock.log_end().saturating_add(1);
    for number in first..log.superblock.s_maxlen {
        if u64::from(number - first) * u64::from(log.superblock.s_blocksize) >= MAX_AREA_BYTES {
            let detail = format!("the area of fast commits is longer than {MAX_AREA_BYTES} bytes");
            return Err(Fault::unknown("fast-commit-area", format_args!("journal block {number}"), detail));
        }
        let block = log.read(number)?;
        if number == first && le16(&block, 0) != TAG_HEAD {
            break;
        }
        let mut offset = 0;
        while let Some(tag) = block.get(offset..offset + TAG_SIZE) {
            let (fc_tag, fc_len) = (le16(tag, 0), usize::from(le16(tag, 2)));
            let whole = block.get(offset..offset + TAG_SIZE + fc_len);
            let Some((value, whole)) = whole.and_then(|whole| Some((whole.get(TAG_SIZE..)?, whole))) else {
                return Ok(found.end(number, offset, "a record passes the end of its block"));
            };
            match fc_tag {
                TAG_HEAD if value.len() == 8 => {
                    let (fc_features, fc_tid) = (le32(value, 0), le32(value, 4));
                    if fc_features != 0 {
                        let detail = format!("the fast commits have the features {fc_features:#x}, which are unknown");
                        return Err(Fault::unknown(
                            "fast-commit-features",
                            format_args!("journal block {number}"),
                            detail,
                        ));
                    }
                    if fc_tid != sequence {
                        return Ok(found);
                    }
                    crc = crc32c_le(crc, whole);
                }
                TAG_TAIL if value.len() >= 8 => {
                    // It is part of what its checksum covers, but for that.
                    crc = crc32c_le(crc, whole.get(..TAG_SIZE + 4).unwrap_or_default());
                    let (fc_tid, fc_crc) = (le32(value, 0), le32(value, 4));
                    if fc_tid != sequence || fc_crc != crc {
                        return Ok(found.end(number, offset, "the checksum or the transaction of its tail is wrong"));
                    }
                    crc = 0;
                    found.count += 1;
                    found.records.append(&mut pending);
                }
                TAG_PAD => crc = crc32c_le(crc, whole),
                _ => {
                    let Some(record) = parse(fc_tag, value, log.filesystem().superblock.s_inode_size) else {
                        return Ok(found.end(number, offset, "there is no such record"));
                    };
                    pending.push(record);
                    crc = crc32c_le(crc, whole);
                }
            }
            offset += whole.len();
        }
    }
    Ok(found)
}

impl FastCommits {
    /// What does not verify ends them quietly, as a crash would have left it; but where not even the first one is whole
    /// the kernel gives the mount up.
    fn end(mut self, block: u32, offset: usize, what: &str) -> Self {
        if self.count == 0 {
            let detail = format!("{what}, in the first fast commit: the kernel does not mount it so");
            let place = format!("journal block {block}, byte {offset}");
            self.damage = Some(Finding::damage("fast-commit-broken", place, detail));
        }
        self
    }
}

fn parse(fc_tag: u16, value: &[u8], s_inode_size: u16) -> Option<Record> {
    let inode = le32(value, 0);
    let name = || {
        let name = value.get(8..).filter(|name| (1..=255).contains(&name.len()))?;
        Some(Name { directory: inode, inode: le32(value, 4), name: name.to_vec() })
    };
    match fc_tag {
        TAG_ADD_RANGE if value.len() == 16 => {
            Some(Record::AddRange { inode, run: extent_tree::leaf_entry(value.get(4..)?) })
        }
        TAG_DELETE_RANGE if value.len() == 12 => {
            let (first_block, length_blocks) = (le32(value, 4).into(), le32(value, 8).into());
            Some(Record::DeleteRange { inode, first_block, length_blocks })
        }
        TAG_CREATE => name().map(Record::Create),
        TAG_LINK => name().map(Record::Link),
        TAG_UNLINK => name().map(Record::Unlink),
        TAG_INODE => {
            let fields = value.get(4..).filter(|fields| (128..=usize::from(s_inode_size)).contains(&fields.len()))?;
            Some(Record::Inode { inode, fields: fields.to_vec() })
        }
        _ => None,
    }
}
