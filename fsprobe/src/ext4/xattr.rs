//! Extended attributes: in the inode after its fields, and in a block that several inodes may share.
//!
//! <https://docs.kernel.org/filesystems/ext4/attributes.html>

use std::ops::Range;

use super::checksum::{crc32c_le, crc32c_without};
use super::fault::Fault;
use super::fields::{byte, le16, le32};
use super::filesystem::Filesystem;
use super::inode::{Inode, OLD_SIZE};

const MAGIC: u32 = 0xea02_0000;
const BLOCK_HEADER_SIZE: usize = 32;
const CHECKSUM_OFFSET: usize = 0x10;
const ENTRY_SIZE: usize = 16;
/// `e_name_index` of `system.`
pub(super) const SYSTEM_INDEX: u8 = 7;
/// `e_name_index` of what fscrypt keeps.
pub(super) const ENCRYPTION_INDEX: u8 = 9;

/// An attribute. Fields keep the kernel's names.
pub(super) struct Entry<'b> {
    pub(super) e_name_index: u8,
    /// Without its prefix, which `e_name_index` stands for.
    pub(super) name: &'b [u8],
    /// The inode that holds the value; 0 where the value is here.
    pub(super) e_value_inum: u32,
    pub(super) e_value_size: u32,
    /// Empty where an inode holds it.
    pub(super) value: &'b [u8],
}

impl Entry<'_> {
    /// Says how its file is encrypted.
    pub(super) fn is_encryption_context(&self) -> bool {
        self.e_name_index == ENCRYPTION_INDEX && self.name == b"c"
    }

    /// The rest of a file whose data is in the inode.
    pub(super) fn is_inline_data(&self) -> bool {
        self.e_name_index == SYSTEM_INDEX && self.name == b"data" && self.e_value_inum == 0
    }
}

/// `ext4_xattr_header` of a block, and the block.
pub(super) struct AttributeBlock {
    /// Inodes that use it.
    pub(super) h_refcount: u32,
    bytes: Vec<u8>,
    place: String,
}

impl AttributeBlock {
    /// Its attributes.
    ///
    /// # Errors
    /// `xattr-entry`.
    pub(super) fn entries(&self) -> Result<Vec<Entry<'_>>, Fault> {
        entries(&self.bytes, BLOCK_HEADER_SIZE, 0).map_err(|detail| Fault::damage("xattr-entry", &self.place, detail))
    }
}

/// The attributes in the inode itself, whose bytes are `raw`; none where there is no room or no magic number.
///
/// # Errors
/// `inode-extra-isize`, `xattr-entry`.
pub(super) fn in_inode<'r>(inode: &Inode, raw: &'r [u8]) -> Result<Vec<Entry<'r>>, Fault> {
    let room = raw.len().saturating_sub(OLD_SIZE);
    let extra = usize::from(inode.i_extra_isize);
    if extra == 0 {
        return Ok(Vec::new());
    }
    if extra < 4 || extra > room || !extra.is_multiple_of(4) {
        let detail = format!("i_extra_isize is {extra}, room is for {room} bytes");
        return Err(Fault::damage("inode-extra-isize", format_args!("inode {}", inode.number), detail));
    }
    let header = OLD_SIZE + extra;
    if le32(raw, header) != MAGIC {
        return Ok(Vec::new());
    }
    entries(raw, header + 4, header + 4).map_err(|detail| {
        Fault::damage("xattr-entry", format_args!("inode {}, in-inode attributes", inode.number), detail)
    })
}

impl Filesystem<'_> {
    /// The block of attributes of `inode`, its header and checksum verified.
    ///
    /// # Errors
    /// `xattr-header`, `xattr-checksum`; those of reading.
    pub(super) fn attribute_block(&self, inode: &Inode) -> Result<AttributeBlock, Fault> {
        let block = inode.i_file_acl;
        let place = format!("inode {}, attribute block {block}", inode.number);
        let bytes = self.read_block(block, &place)?;
        let (h_magic, h_refcount, h_blocks) = (le32(&bytes, 0), le32(&bytes, 4), le32(&bytes, 8));
        if h_magic != MAGIC || h_blocks != 1 || h_refcount == 0 {
            let detail = format!("h_magic is {h_magic:#x}, h_blocks {h_blocks}, h_refcount {h_refcount}");
            return Err(Fault::damage("xattr-header", place, detail));
        }
        if self.superblock.has_metadata_csum() {
            let seed = crc32c_le(self.superblock.checksum_seed(), &block.to_le_bytes());
            let computed = crc32c_without(seed, &bytes, CHECKSUM_OFFSET, 4);
            let h_checksum = le32(&bytes, CHECKSUM_OFFSET);
            if h_checksum != computed {
                let detail = format!("h_checksum is {h_checksum:#010x}, computed {computed:#010x}");
                return Err(Fault::damage("xattr-checksum", place, detail));
            }
        }
        Ok(AttributeBlock { h_refcount, bytes, place })
    }
}

/// The entries of `region` from `start` on; values lie at offsets from `base`. What is wrong with them, else.
fn entries(region: &[u8], start: usize, base: usize) -> Result<Vec<Entry<'_>>, String> {
    let mut entries = Vec::new();
    let mut used: Vec<Range<usize>> = Vec::new();
    let mut offset = start;
    // Each takes 16 bytes or more of a region of 64 KiB at most. The kernel ends a table at four zero bytes, or where the
    // region ends.
    while offset + 4 <= region.len() && le32(region, offset) != 0 {
        let name_length = usize::from(byte(region, offset));
        let name = region.get(offset + ENTRY_SIZE..offset + ENTRY_SIZE + name_length);
        let name = name.ok_or_else(|| format!("the entry at byte {offset} passes the end"))?;
        let e_value_inum = le32(region, offset + 4);
        let e_value_size = le32(region, offset + 8);
        let mut value: &[u8] = &[];
        if e_value_inum == 0 {
            let value_start = base + usize::from(le16(region, offset + 2));
            let value_end = value_start.saturating_add(usize::try_from(e_value_size).unwrap_or(usize::MAX));
            value = region
                .get(value_start..value_end)
                .ok_or_else(|| format!("the value of {e_value_size} bytes at byte {value_start} passes the end"))?;
            if !value.is_empty() {
                used.push(value_start..value_end);
            }
            check_hash(le32(region, offset + 12), name, value)
                .map_err(|detail| format!("of the entry at byte {offset}, {detail}"))?;
        }
        entries.push(Entry { e_name_index: byte(region, offset + 1), name, e_value_inum, e_value_size, value });
        offset += (ENTRY_SIZE + name_length).next_multiple_of(4);
    }
    used.push(start..offset);
    used.sort_unstable_by_key(|range| range.start);
    match used.iter().zip(used.iter().skip(1)).find(|(before, after)| before.end > after.start) {
        Some((_, after)) => Err(format!("what is at byte {} overlaps what is before it", after.start)),
        None => Ok(entries),
    }
}

/// Compares `e_hash` with the hash of name and value. In an inode the kernel leaves it out.
fn check_hash(e_hash: u32, name: &[u8], value: &[u8]) -> Result<(), String> {
    // The kernel once took the bytes of a name for signed on some machines, and for unsigned on others.
    let widenings: [fn(u8) -> u32; 2] = [u32::from, |byte| byte as i8 as u32];
    let hashes = widenings.map(|widened| {
        let of_name = name.iter().fold(0_u32, |hash, &byte| hash.rotate_left(5) ^ widened(byte));
        value.chunks(4).fold(of_name, |hash, word| hash.rotate_left(16) ^ le32_padded(word))
    });
    if e_hash == 0 || hashes.contains(&e_hash) {
        return Ok(());
    }
    Err(format!("e_hash is {e_hash:#x}, computed {:#x}", hashes[0]))
}

fn le32_padded(word: &[u8]) -> u32 {
    word.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
}
