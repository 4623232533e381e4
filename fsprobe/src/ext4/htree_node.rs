//! Nodes of a directory's index.
//!
//! <https://docs.kernel.org/filesystems/ext4/directory.html#hash-tree-directories>: `dx_root`, `dx_node`, `dx_tail`.

use super::checksum::crc32c_le;
use super::dirent::{Wrong, rec_len};
use super::features::incompat;
use super::fields::{byte, le16, le32};
use super::filesystem::Filesystem;
use super::inode::Inode;

/// Where the entries begin in block 0, after `.`, `..` and `dx_root_info`.
const ROOT_ENTRIES: usize = 0x20;
/// Where they begin in other blocks, after an entry without a name that fills the block.
const NODE_ENTRIES: usize = 0x8;
const ENTRY_SIZE: usize = 8;
const TAIL_SIZE: usize = 8;

/// `dx_root` or `dx_node`.
pub(super) struct Node {
    /// Of block 0 only.
    pub(super) root_info: Option<RootInfo>,
    /// The least hash in each block below, and that block's number in the directory.
    pub(super) entries: Vec<(u32, u32)>,
}

/// `dx_root_info`.
pub(super) struct RootInfo {
    pub(super) hash_version: u8,
    /// Levels of nodes below the root.
    pub(super) indirect_levels: u8,
}

impl Node {
    /// The node that `block` of the indexed `directory` is; `None` where it holds names. Block 0 always is one.
    pub(super) fn parse(
        filesystem: &Filesystem<'_>,
        directory: &Inode,
        is_root: bool,
        block: &[u8],
    ) -> Result<Option<Self>, Wrong> {
        let has_tail = filesystem.superblock.has_metadata_csum();
        let start = if is_root { ROOT_ENTRIES } else { NODE_ENTRIES };
        let room = (block.len() - start - if has_tail { TAIL_SIZE } else { 0 }) / ENTRY_SIZE;
        let (limit, count) = (usize::from(le16(block, start)), usize::from(le16(block, start + 2)));
        let is_node = is_root
            || (le32(block, 0) == 0
                && rec_len(block, 0, block.len()) == block.len()
                && byte(block, 6) == 0
                && limit == room);
        if !is_node {
            return Ok(None);
        }
        let root_info = if is_root { Some(RootInfo::parse(filesystem, block)?) } else { None };
        if limit != room || count == 0 || count > limit {
            return Err(("htree-limit", format!("count is {count}, limit {limit}, room is for {room}")));
        }
        if has_tail {
            let tail = start + limit * ENTRY_SIZE;
            let covered = block.get(..start + count * ENTRY_SIZE).unwrap_or_default();
            let reserved = block.get(tail..tail + 4).unwrap_or_default();
            let computed = crc32c_le(crc32c_le(crc32c_le(directory.checksum_seed(), covered), reserved), &[0; 4]);
            let dt_checksum = le32(block, tail + 4);
            if dt_checksum != computed {
                let detail = format!("dt_checksum is {dt_checksum:#010x}, computed {computed:#010x}");
                return Err(("htree-checksum", detail));
            }
        }
        // The first entry has limit and count in place of a hash.
        let entries = (0..count).map(|entry| {
            let offset = start + entry * ENTRY_SIZE;
            let hash = if entry == 0 { 0 } else { le32(block, offset) & !1 };
            (hash, le32(block, offset + 4) & 0x0fff_ffff)
        });
        Ok(Some(Self { root_info, entries: entries.collect() }))
    }
}

impl RootInfo {
    fn parse(filesystem: &Filesystem<'_>, block: &[u8]) -> Result<Self, Wrong> {
        let (reserved_zero, hash_version) = (le32(block, 0x18), byte(block, 0x1c));
        let (info_length, indirect_levels, unused_flags) = (byte(block, 0x1d), byte(block, 0x1e), byte(block, 0x1f));
        let max_levels = if filesystem.superblock.has_incompat(incompat::LARGEDIR) { 2 } else { 1 };
        let is_hash_known = matches!(hash_version, 0..=2 | 6);
        if reserved_zero != 0
            || info_length != 8
            || !is_hash_known
            || indirect_levels > max_levels
            || unused_flags & 1 != 0
        {
            let detail = format!(
                "reserved_zero is {reserved_zero}, hash_version {hash_version}, info_length {info_length}, \
                 indirect_levels {indirect_levels}, unused_flags {unused_flags}"
            );
            return Err(("htree-root", detail));
        }
        Ok(Self { hash_version, indirect_levels })
    }
}
