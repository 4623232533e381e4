//! Where the filesystem's own structures are: superblocks, descriptors, bitmaps, inode tables.

use std::collections::HashSet;
use std::ops::Range;

use super::super::features::incompat;
use super::super::filesystem::Filesystem;
use crate::{Finding, Findings};

/// Block ranges of the structures that no inode owns; four a group.
pub(super) struct Metadata {
    /// Sorted, none touching another.
    ranges: Vec<Range<u64>>,
    /// Groups whose structures cannot be used: the descriptor is bad, or something else is where they should be.
    bad_groups: HashSet<u32>,
}

struct Structure {
    start: u64,
    length: u64,
    group: u32,
    name: &'static str,
}

impl Metadata {
    /// Collects them all; two on the same block are a finding. Bad descriptors were told by the default check.
    pub(super) fn of(filesystem: &Filesystem<'_>, findings: &mut Findings) -> Self {
        let superblock = &filesystem.superblock;
        let mut structures = Vec::new();
        let mut bad_groups = HashSet::new();
        for (group, descriptor) in filesystem.groups() {
            let mut add = |name, start, length| structures.push(Structure { start, length, group, name });
            let first = superblock.group_first_block(group);
            // With bigalloc and blocks of 1 KiB, the boot block is a block of group 0, before the superblock.
            let boot_blocks = if group == 0 { superblock.primary_block().saturating_sub(first) } else { 0 };
            match boot_blocks + superblock.base_metadata_blocks(group) {
                0 => {}
                length => add("superblock and descriptors", first, length.min(superblock.group_blocks(group))),
            }
            match descriptor {
                Ok(descriptor) => {
                    add("block bitmap", descriptor.bg_block_bitmap, 1);
                    add("inode bitmap", descriptor.bg_inode_bitmap, 1);
                    add("inode table", descriptor.bg_inode_table, filesystem.inode_table_blocks());
                }
                Err(_) => drop(bad_groups.insert(group)),
            }
        }
        if superblock.has_incompat(incompat::MMP) && filesystem.contains(superblock.s_mmp_block, 1) {
            structures.push(Structure { start: superblock.s_mmp_block, length: 1, group: 0, name: "MMP block" });
        }
        structures.sort_unstable_by_key(|structure| structure.start);
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for Structure { start, length, group, name } in structures {
            let end = start + length;
            match ranges.last_mut() {
                Some(last) if start <= last.end => {
                    if start < last.end {
                        let place = format!("group {group} {name} at block {start}");
                        let detail = format!("another structure reaches to block {}", last.end - 1);
                        findings.push(Finding::damage("metadata-overlap", place, detail));
                        bad_groups.insert(group);
                    }
                    last.end = last.end.max(end);
                }
                _ => ranges.push(start..end),
            }
        }
        Self { ranges, bad_groups }
    }

    pub(super) fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    pub(super) fn is_bad(&self, group: u32) -> bool {
        self.bad_groups.contains(&group)
    }

    pub(super) fn has_bad_groups(&self) -> bool {
        !self.bad_groups.is_empty()
    }

    pub(super) fn contains(&self, block: u64) -> bool {
        let after = self.ranges.partition_point(|range| range.start <= block);
        after.checked_sub(1).and_then(|index| self.ranges.get(index)).is_some_and(|range| block < range.end)
    }
}
