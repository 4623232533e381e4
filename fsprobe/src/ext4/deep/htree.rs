//! The index of a directory: a tree over its blocks, by the hash of the names in them.
//!
//! <https://docs.kernel.org/filesystems/ext4/directory.html#hash-tree-directories>

use std::collections::HashMap;

use super::super::checksum::crc32c_le;
use super::super::features::incompat;
use super::super::fields::{byte, le16, le32};
use super::super::filesystem::Filesystem;
use super::super::inode::Inode;
use super::dirent::rec_len;
use super::inodes::CASEFOLD_FL;
use super::name_hash::NameHash;

/// Where the tree's entries begin in block 0, after `.`, `..` and `dx_root_info`.
const ROOT_ENTRIES: usize = 0x20;
/// Where they begin in other blocks, after an entry without a name that fills the block.
const NODE_ENTRIES: usize = 0x8;
const ENTRY_SIZE: usize = 8;
const TAIL_SIZE: usize = 8;
/// Blocks of an indexed directory that are looked at: half a thousand million names.
pub(super) const MAX_BLOCKS: u64 = 1 << 22;

/// What a block of the directory holds.
enum Block {
    Node,
    /// Names: the least and the greatest hash.
    Leaf {
        min: u32,
        max: u32,
    },
}

/// Blocks and nodes of one directory's index, as they come by.
#[derive(Default)]
pub(super) struct Htree {
    indirect_levels: u8,
    /// `None` where names cannot be hashed.
    name_hash: Option<NameHash>,
    blocks: Vec<Block>,
    /// Hash and block of each entry, by node.
    children: HashMap<usize, Vec<(u32, usize)>>,
}

/// What is wrong: a code, and the numbers.
pub(super) type Wrong = (&'static str, String);

impl Htree {
    /// Takes the directory's next block. Returns whether it is a node, and so has no names (but for block 0).
    pub(super) fn add(&mut self, filesystem: &Filesystem<'_>, inode: &Inode, bytes: &[u8]) -> Result<bool, Wrong> {
        let index = self.blocks.len();
        let has_tail = filesystem.superblock.has_metadata_csum();
        let tail = if has_tail { TAIL_SIZE } else { 0 };
        let start = if index == 0 { ROOT_ENTRIES } else { NODE_ENTRIES };
        let room = (bytes.len() - start - tail) / ENTRY_SIZE;
        let (limit, count) = (usize::from(le16(bytes, start)), usize::from(le16(bytes, start + 2)));
        let is_node = index == 0
            || (le32(bytes, 0) == 0
                && rec_len(bytes, 0, bytes.len()) == bytes.len()
                && byte(bytes, 6) == 0
                && limit == room);
        if !is_node {
            self.blocks.push(Block::Leaf { min: u32::MAX, max: 0 });
            return Ok(false);
        }
        self.blocks.push(Block::Node);
        if index == 0 {
            self.root_info(filesystem, bytes)?;
            // What is hashed is the folded name, for which Unicode's tables would be needed.
            if inode.i_flags & CASEFOLD_FL != 0 {
                self.name_hash = None;
            }
        }
        if limit != room || count == 0 || count > limit {
            return Err(("htree-limit", format!("count is {count}, limit {limit}, room is for {room}")));
        }
        if has_tail {
            let tail = start + limit * ENTRY_SIZE;
            let covered = bytes.get(..start + count * ENTRY_SIZE).unwrap_or_default();
            let reserved = bytes.get(tail..tail + 4).unwrap_or_default();
            let computed = crc32c_le(crc32c_le(crc32c_le(inode.checksum_seed(), covered), reserved), &[0; 4]);
            let dt_checksum = le32(bytes, tail + 4);
            if dt_checksum != computed {
                let detail = format!("dt_checksum is {dt_checksum:#010x}, computed {computed:#010x}");
                return Err(("htree-checksum", detail));
            }
        }
        // The first entry has limit and count in place of a hash.
        let children = (0..count).map(|entry| {
            let offset = start + entry * ENTRY_SIZE;
            let hash = if entry == 0 { 0 } else { le32(bytes, offset) & !1 };
            (hash, (le32(bytes, offset + 4) & 0x0fff_ffff) as usize)
        });
        self.children.insert(index, children.collect());
        Ok(true)
    }

    fn root_info(&mut self, filesystem: &Filesystem<'_>, bytes: &[u8]) -> Result<(), Wrong> {
        let (reserved_zero, hash_version) = (le32(bytes, 0x18), byte(bytes, 0x1c));
        let (info_length, indirect_levels) = (byte(bytes, 0x1d), byte(bytes, 0x1e));
        let max_levels = if filesystem.superblock.has_incompat(incompat::LARGEDIR) { 2 } else { 1 };
        let is_hash_known = matches!(hash_version, 0..=2 | 6);
        if reserved_zero != 0 || info_length != 8 || !is_hash_known || indirect_levels > max_levels {
            let detail = format!(
                "reserved_zero is {reserved_zero}, hash_version {hash_version}, info_length {info_length}, \
                 indirect_levels {indirect_levels}"
            );
            return Err(("htree-root", detail));
        }
        self.indirect_levels = indirect_levels;
        self.name_hash = NameHash::new(&filesystem.superblock, hash_version);
        Ok(())
    }

    /// Notes a name in the block that was added last.
    pub(super) fn add_name(&mut self, name: &[u8]) {
        if let (Some(name_hash), Some(Block::Leaf { min, max })) = (self.name_hash, self.blocks.last_mut()) {
            let hash = name_hash.of(name);
            (*min, *max) = (hash.min(*min), hash.max(*max));
        }
    }

    /// Follows the tree from its root: it reaches every block of the directory once, and the hashes of all names in a
    /// block are between that of its entry and that of the next.
    pub(super) fn finish(&self) -> Result<(), Wrong> {
        let blocks = self.blocks.len();
        let mut is_reached = vec![false; blocks];
        if let Some(root) = is_reached.first_mut() {
            *root = true;
        }
        let mut nodes = vec![(0, u32::MAX)];
        for level in 0..=self.indirect_levels {
            let mut below = Vec::new();
            for (node, end) in nodes {
                let children = self.children.get(&node).map_or(&[][..], Vec::as_slice);
                for (entry, &(hash, child)) in children.iter().enumerate() {
                    let next = children.get(entry + 1).map_or(end, |&(next, _)| next);
                    if hash > next {
                        let detail = format!("in block {node}, hash {next:#x} comes after {hash:#x}");
                        return Err(("htree-order", detail));
                    }
                    let is_leaf_level = level == self.indirect_levels;
                    match (self.blocks.get(child), is_reached.get_mut(child)) {
                        (Some(Block::Node), Some(reached)) if !*reached && !is_leaf_level => *reached = true,
                        (Some(&Block::Leaf { min, max }), Some(reached)) if !*reached && is_leaf_level => {
                            *reached = true;
                            if min < hash || max > next {
                                let detail = format!(
                                    "names in block {child} have hashes {min:#x} to {max:#x}, not {hash:#x} to {next:#x}"
                                );
                                return Err(("htree-hash", detail));
                            }
                        }
                        _ => {
                            let detail = format!("block {node} leads to block {child} of {blocks}, at level {level}");
                            return Err(("htree-block", detail));
                        }
                    }
                    below.push((child, next));
                }
            }
            nodes = below;
        }
        match is_reached.iter().position(|&reached| !reached) {
            Some(block) => Err(("htree-block", format!("no node leads to block {block} of {blocks}"))),
            None => Ok(()),
        }
    }
}
