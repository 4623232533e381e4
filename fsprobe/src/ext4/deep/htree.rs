//! The index of a directory: a tree over its blocks, by the hash of the names in them.
//!
//! <https://docs.kernel.org/filesystems/ext4/directory.html#hash-tree-directories>

use std::collections::HashMap;

use super::super::dirent::Wrong;
use super::super::htree_node::Node;
use super::super::inode::{CASEFOLD_FL, Inode};
use super::super::superblock::Superblock;
use super::name_hash::NameHash;

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
    children: HashMap<usize, Vec<(u32, u32)>>,
}

impl Htree {
    /// Takes the directory's next block, a node or one of names.
    pub(super) fn add(&mut self, superblock: &Superblock, directory: &Inode, node: Option<Node>) {
        let Some(node) = node else { return self.blocks.push(Block::Leaf { min: u32::MAX, max: 0 }) };
        if let Some(root_info) = node.root_info {
            self.indirect_levels = root_info.indirect_levels;
            // What is hashed is the folded name, for which Unicode's tables would be needed.
            let is_casefolded = directory.i_flags & CASEFOLD_FL != 0;
            self.name_hash = if is_casefolded { None } else { NameHash::new(superblock, root_info.hash_version) };
        }
        self.children.insert(self.blocks.len(), node.entries);
        self.blocks.push(Block::Node);
    }

    /// Whether it was said where names belong, but not checked: the hash needs more than the name.
    pub(super) fn is_unhashed(&self) -> bool {
        self.name_hash.is_none()
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
                    let child = child as usize;
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
