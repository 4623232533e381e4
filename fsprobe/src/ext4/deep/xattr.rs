//! Extended attributes: in the inode after its fields, and in a block that several inodes may share.
//!
//! <https://docs.kernel.org/filesystems/ext4/attributes.html>

use std::collections::HashMap;
use std::ops::Range;

use super::super::checksum::{crc32c_le, crc32c_without};
use super::super::fault::Fault;
use super::super::fields::{byte, le16, le32};
use super::super::filesystem::Filesystem;
use super::super::inode::Inode;

const MAGIC: u32 = 0xea02_0000;
const BLOCK_HEADER_SIZE: usize = 32;
const CHECKSUM_OFFSET: usize = 0x10;
const ENTRY_SIZE: usize = 16;
/// `e_name_index` of `system.`
const SYSTEM_INDEX: u8 = 7;

/// An attribute, its value inside of the region that it was read from.
pub(super) struct Entry {
    pub(super) e_name_index: u8,
    pub(super) name: Range<usize>,
    pub(super) e_value_inum: u32,
    pub(super) e_value_size: u32,
    pub(super) value: Range<usize>,
}

/// A block of attributes that more than one inode uses.
pub(super) struct Shared {
    pub(super) h_refcount: u32,
    pub(super) seen: u32,
    pub(super) large_values: Vec<(u32, u32)>,
}

/// Blocks that several inodes use, by number; those with one user need no memory.
pub(super) type SharedBlocks = HashMap<u64, Shared>;

/// The entries of `region` from `start` on; values lie at offsets from `base`.
fn entries(region: &[u8], start: usize, base: usize) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let mut used: Vec<Range<usize>> = Vec::new();
    let mut offset = start;
    // Each takes 16 bytes or more of a region of 64 KiB at most.
    loop {
        // The kernel ends a table at four zero bytes, or where the region ends.
        if offset + 4 > region.len() || le32(region, offset) == 0 {
            break;
        }
        let name_length = usize::from(byte(region, offset));
        let name = offset + ENTRY_SIZE..offset + ENTRY_SIZE + name_length;
        if name.end > region.len() {
            return Err(format!("the entry at byte {offset} passes the end"));
        }
        let e_value_inum = le32(region, offset + 4);
        let e_value_size = le32(region, offset + 8);
        let value_start = base + usize::from(le16(region, offset + 2));
        let length = if e_value_inum == 0 { usize::try_from(e_value_size).unwrap_or(usize::MAX) } else { 0 };
        let value_end = value_start.saturating_add(length);
        if e_value_inum == 0 && value_end > region.len() {
            return Err(format!("the value of {length} bytes at byte {value_start} passes the end"));
        }
        if length > 0 {
            used.push(value_start..value_end);
        }
        let value = if length > 0 { value_start..value_end } else { 0..0 };
        // In an inode the kernel leaves the hash out.
        let e_hash = le32(region, offset + 12);
        if e_value_inum == 0 && e_hash != 0 {
            let (name, value) = (region.get(name.clone()), region.get(value.clone()));
            let (name, value) = (name.unwrap_or_default(), value.unwrap_or_default());
            // The kernel once took the bytes of a name for signed on some machines, and for unsigned on others.
            let hashes = [hash(name, value, u32::from), hash(name, value, |byte| byte as i8 as u32)];
            if !hashes.contains(&e_hash) {
                let detail = format!("e_hash of the entry at byte {offset} is {e_hash:#x}, computed {:#x}", hashes[0]);
                return Err(detail);
            }
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

/// `e_hash` of a name and value.
fn hash(name: &[u8], value: &[u8], widened: fn(u8) -> u32) -> u32 {
    let of_name = name.iter().fold(0_u32, |hash, &byte| hash.rotate_left(5) ^ widened(byte));
    value.chunks(4).fold(of_name, |hash, word| hash.rotate_left(16) ^ le32_padded(word))
}

fn le32_padded(word: &[u8]) -> u32 {
    word.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

/// The attributes in the inode itself, whose bytes are `raw`; none where there is no room or no magic number.
pub(super) fn in_inode(inode: &Inode, raw: &[u8]) -> Result<Vec<Entry>, Fault> {
    let header = 128 + usize::from(inode.i_extra_isize);
    if raw.len() <= 128 || inode.i_extra_isize == 0 || header + 4 > raw.len() || le32(raw, header) != MAGIC {
        return Ok(Vec::new());
    }
    entries(raw, header + 4, header + 4).map_err(|detail| {
        Fault::damage("xattr-entry", format_args!("inode {}, in-inode attributes", inode.number), detail)
    })
}

/// The part of inline data that does not fit into `i_block`: the value of `system.data`.
pub(super) fn inline_rest<'r>(entries: &[Entry], raw: &'r [u8]) -> Option<&'r [u8]> {
    let data = entries
        .iter()
        .find(|entry| entry.e_name_index == SYSTEM_INDEX && raw.get(entry.name.clone()) == Some(b"data".as_slice()))?;
    raw.get(data.value.clone())
}

/// Values that inodes of their own hold: the number of each, and its length.
pub(super) fn large_values(entries: &[Entry]) -> Vec<(u32, u32)> {
    entries
        .iter()
        .filter(|entry| entry.e_value_inum != 0)
        .map(|entry| (entry.e_value_inum, entry.e_value_size))
        .collect()
}

/// The block of attributes of `inode`, which was not seen before.
pub(super) fn in_block(filesystem: &Filesystem<'_>, inode: &Inode) -> Result<Shared, Fault> {
    let block = inode.i_file_acl;
    let place = format_args!("inode {}, attribute block {block}", inode.number).to_string();
    let bytes = filesystem.read_block(block, &place)?;
    let (h_magic, h_refcount, h_blocks) = (le32(&bytes, 0), le32(&bytes, 4), le32(&bytes, 8));
    if h_magic != MAGIC || h_blocks != 1 || h_refcount == 0 {
        let detail = format!("h_magic is {h_magic:#x}, h_blocks {h_blocks}, h_refcount {h_refcount}");
        return Err(Fault::damage("xattr-header", place, detail));
    }
    if filesystem.superblock.has_metadata_csum() {
        let seed = crc32c_le(filesystem.superblock.checksum_seed(), &block.to_le_bytes());
        let computed = crc32c_without(seed, &bytes, CHECKSUM_OFFSET, 4);
        let h_checksum = le32(&bytes, CHECKSUM_OFFSET);
        if h_checksum != computed {
            let detail = format!("h_checksum is {h_checksum:#010x}, computed {computed:#010x}");
            return Err(Fault::damage("xattr-checksum", place, detail));
        }
    }
    let entries =
        entries(&bytes, BLOCK_HEADER_SIZE, 0).map_err(|detail| Fault::damage("xattr-entry", place, detail))?;
    Ok(Shared { h_refcount, seen: 1, large_values: large_values(&entries) })
}
