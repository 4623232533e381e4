//! What a file maps, as it is changed, and the extent tree that says so.

use std::collections::BTreeMap;

use crate::ext4::checksum::crc32c_le;
use crate::ext4::extent_tree::{ENTRY_SIZE, MAGIC, MAX_WRITTEN_LENGTH};
use crate::ext4::fault::Fault;
use crate::ext4::{Filesystem, Inode, Piece, Run};

/// Entries in `i_block`.
const ROOT_CAPACITY: usize = 4;

/// The blocks of a file that is mapped by extents.
#[derive(Debug, Clone, Default)]
pub(super) struct Mapping {
    /// By the first file block; none overlaps another.
    runs: BTreeMap<u64, Run>,
    /// Blocks of the tree, below its root.
    pub(super) tree: Vec<u64>,
}

impl Mapping {
    /// That of `inode`. As many runs as it has are taken from `runs_left`.
    pub(super) fn of(filesystem: &Filesystem<'_>, inode: &Inode, runs_left: &mut usize) -> Result<Self, Fault> {
        let mut mapping = Self::default();
        if inode.maps_blocks() && !inode.has_extents() {
            let detail = "a fast commit changes a file that is mapped by indirect blocks: that is not followed";
            return Err(Fault::unknown("fast-commit-block-map", format_args!("inode {}", inode.number), detail));
        }
        filesystem.walk_blocks(inode, &mut |piece| {
            match piece {
                Piece::Map(block) => mapping.tree.push(block),
                Piece::Data(run) => {
                    mapping.runs.insert(run.logical_block, run);
                }
            }
            *runs_left = runs_left.checked_sub(1).ok_or_else(|| {
                let detail = "the files that fast commits change are in more pieces than are followed";
                Fault::unknown("fast-commit-too-large", format_args!("inode {}", inode.number), detail)
            })?;
            Ok(())
        })?;
        Ok(mapping)
    }

    /// `i_block` of a file that maps nothing.
    pub(super) fn empty_root() -> [u8; 60] {
        let mut root = [0; 60];
        fill(&mut root, &[], ROOT_CAPACITY, 0);
        root
    }

    /// The runs, in order.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// Blocks of data, and of the tree.
    pub(super) fn blocks(&self) -> u64 {
        self.runs().map(|run| run.length_blocks).sum::<u64>() + self.tree.len() as u64
    }

    /// Unmaps `length_blocks` file blocks from `first` on.
    pub(super) fn remove(&mut self, first: u64, length_blocks: u64) {
        let end = first.saturating_add(length_blocks);
        let before = self.runs.range(..first).next_back().map(|(&start, _)| start);
        let touched: Vec<u64> =
            before.into_iter().chain(self.runs.range(first..end).map(|(&start, _)| start)).collect();
        for start in touched {
            let Some(run) = self.runs.remove(&start) else { continue };
            let run_end = start + run.length_blocks;
            if start < first {
                let kept = Run { length_blocks: run.length_blocks.min(first - start), ..run };
                self.runs.insert(start, kept);
            }
            if run_end > end {
                let skipped = end - start;
                let kept = Run {
                    logical_block: end,
                    physical_block: run.physical_block + skipped,
                    length_blocks: run_end - end,
                    ..run
                };
                self.runs.insert(end, kept);
            }
        }
    }

    /// Maps what `run` says, whatever was there before.
    pub(super) fn insert(&mut self, run: Run) {
        self.remove(run.logical_block, run.length_blocks);
        self.runs.insert(run.logical_block, run);
    }

    /// Writes the tree anew: returns `i_block`, and tells `write` every other node of it. `allocate` gives their blocks.
    pub(super) fn plant(
        &mut self,
        filesystem: &Filesystem<'_>,
        checksum_seed: u32,
        allocate: &mut dyn FnMut() -> Result<u64, Fault>,
        write: &mut dyn FnMut(u64, Vec<u8>) -> Result<(), Fault>,
    ) -> Result<[u8; 60], Fault> {
        self.tree.clear();
        let block_size = filesystem.superblock.block_size_bytes() as usize;
        let capacity = block_size / ENTRY_SIZE - 1;
        let mut entries: Vec<[u8; ENTRY_SIZE]> = self.runs().flat_map(leaf_entries).collect();
        let mut depth = 0;
        while entries.len() > ROOT_CAPACITY {
            let mut parents = Vec::new();
            for children in entries.chunks(capacity) {
                let block = allocate()?;
                let mut node = vec![0; block_size];
                fill(&mut node, children, capacity, depth);
                if filesystem.superblock.has_metadata_csum() {
                    let (covered, tail) = node.split_at_mut(ENTRY_SIZE * (1 + capacity));
                    let et_checksum = crc32c_le(checksum_seed, covered).to_le_bytes();
                    tail.iter_mut().zip(et_checksum).for_each(|(to, from)| *to = from);
                }
                write(block, node)?;
                self.tree.push(block);
                parents.push(index_entry(children, block));
            }
            entries = parents;
            depth += 1;
        }
        let mut root = [0; 60];
        fill(&mut root, &entries, ROOT_CAPACITY, depth);
        Ok(root)
    }
}

/// `struct ext4_extent_header`, and the entries after it.
fn fill(node: &mut [u8], entries: &[[u8; ENTRY_SIZE]], capacity: usize, depth: u16) {
    let header = [MAGIC, entries.len() as u16, capacity as u16, depth].map(u16::to_le_bytes).concat();
    let bytes = header.into_iter().chain([0; 4]).chain(entries.iter().flatten().copied());
    node.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
}

/// `struct ext4_extent`, as many as a run needs.
fn leaf_entries(run: &Run) -> impl Iterator<Item = [u8; ENTRY_SIZE]> + use<> {
    let run = *run;
    let longest = MAX_WRITTEN_LENGTH - u16::from(run.is_unwritten);
    (0..run.length_blocks).step_by(longest.into()).map(move |done| {
        let length = (run.length_blocks - done).min(longest.into()) as u16;
        let ee_len = if run.is_unwritten { MAX_WRITTEN_LENGTH + length } else { length };
        let (logical, physical) = (run.logical_block + done, run.physical_block + done);
        entry(logical, &[ee_len.to_le_bytes(), ((physical >> 32) as u16).to_le_bytes()].concat(), physical)
    })
}

/// `struct ext4_extent_idx` of the node that holds `children`.
fn index_entry(children: &[[u8; ENTRY_SIZE]], block: u64) -> [u8; ENTRY_SIZE] {
    let mut entry = [0; ENTRY_SIZE];
    let first = children.first().and_then(|child| child.first_chunk::<4>()).copied().unwrap_or_default();
    let fields = first.into_iter().chain((block as u32).to_le_bytes()).chain(((block >> 32) as u16).to_le_bytes());
    entry.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    entry
}

fn entry(logical: u64, middle: &[u8], physical: u64) -> [u8; ENTRY_SIZE] {
    let mut entry = [0; ENTRY_SIZE];
    let fields = (logical as u32).to_le_bytes().into_iter().chain(middle.iter().copied());
    entry.iter_mut().zip(fields.chain((physical as u32).to_le_bytes())).for_each(|(to, from)| *to = from);
    entry
}
