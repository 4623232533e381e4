//! Bitmaps and counters against what is in use.

use super::super::bitmap::Bitmap;
use super::super::group::GroupDescriptor;
use super::Deep;
use super::inode_map::Use;
use crate::{Finding, ProbeError};

#[derive(Default)]
struct Totals {
    free_clusters: u64,
    free_inodes: u64,
}

impl Deep<'_, '_> {
    pub(super) fn bitmaps(&mut self) -> Result<(), ProbeError> {
        let filesystem = self.filesystem;
        let mut totals = Totals::default();
        let mut are_all_known = true;
        for (group, descriptor) in filesystem.groups() {
            let Some(descriptor) = descriptor.ok().filter(|_| !self.metadata.is_bad(group)) else {
                are_all_known = false;
                continue;
            };
            self.group_flags(&descriptor);
            match filesystem.block_bitmap(&descriptor) {
                Ok(bitmap) => self.blocks(&descriptor, &bitmap, &mut totals),
                Err(fault) => {
                    are_all_known = false;
                    self.findings.push(fault.finding()?);
                }
            }
            match filesystem.inode_bitmap(&descriptor) {
                Ok(bitmap) => self.inode_bits(&descriptor, &bitmap, &mut totals),
                Err(fault) => {
                    are_all_known = false;
                    self.findings.push(fault.finding()?);
                }
            }
        }
        if are_all_known {
            self.compare_totals(&totals);
        }
        Ok(())
    }

    /// Only where descriptors have checksums may they say that something was never written.
    fn group_flags(&mut self, descriptor: &GroupDescriptor) {
        let GroupDescriptor { bg_flags, bg_itable_unused, .. } = descriptor;
        let says_uninit = descriptor.is_block_bitmap_uninit() || descriptor.is_inode_table_uninit();
        if !self.filesystem.superblock.has_group_checksums() && (says_uninit || *bg_itable_unused != 0) {
            let detail = format!(
                "bg_flags is {bg_flags:#x}, bg_itable_unused {bg_itable_unused}, without uninit_bg or metadata_csum"
            );
            self.findings.push(Finding::damage(
                "group-flags",
                format!("group {} descriptor", descriptor.group),
                detail,
            ));
        }
    }

    fn blocks(&mut self, descriptor: &GroupDescriptor, bitmap: &Bitmap, totals: &mut Totals) {
        let superblock = &self.filesystem.superblock;
        let group = descriptor.group;
        let place = format!("group {group} block bitmap at block {}", descriptor.bg_block_bitmap);
        let first = superblock.group_first_block(group);
        let block = |index: u32| first + u64::from(index) * superblock.blocks_per_cluster();
        let mut used = 0;
        for word in 0..bitmap.length().div_ceil(64) {
            let (claimed, marked) = (self.space.claimed().word(group, word), bitmap.word(word));
            used += if self.is_space_complete { claimed } else { marked }.count_ones();
            let unmarked = claimed & !marked;
            if unmarked != 0 {
                let (blocks, first) = (unmarked.count_ones(), block(word * 64 + unmarked.trailing_zeros()));
                let detail = format!("{blocks} in use from block {first} on are marked free");
                self.findings.push(Finding::damage("block-bitmap-free", place.clone(), detail));
            }
            let unclaimed = marked & !claimed;
            if unclaimed != 0 && self.is_space_complete {
                let (blocks, first) = (unclaimed.count_ones(), block(word * 64 + unclaimed.trailing_zeros()));
                let detail = format!("{blocks} that nothing uses from block {first} on are marked as in use");
                self.findings.push(Finding::damage("block-bitmap-used", place.clone(), detail));
            }
        }
        if !bitmap.is_padding_set() {
            let detail = format!("bits after the last of its {} are not set", bitmap.length());
            self.findings.push(Finding::damage("block-bitmap-padding", place, detail));
        }
        let free = bitmap.length() - used;
        totals.free_clusters += u64::from(free);
        self.compare(group, "group-free-blocks", "bg_free_blocks_count", descriptor.bg_free_blocks_count, free);
    }

    fn inode_bits(&mut self, descriptor: &GroupDescriptor, bitmap: &Bitmap, totals: &mut Totals) {
        let group = descriptor.group;
        let place = format!("group {group} inode bitmap at block {}", descriptor.bg_inode_bitmap);
        let first = group * self.filesystem.superblock.s_inodes_per_group + 1;
        let (mut used, mut directories) = (0, 0);
        let mut next = 0;
        let marked = |findings: &mut crate::Findings, range: std::ops::Range<u32>| {
            for index in range.filter(|&index| bitmap.is_set(index)) {
                let detail = format!("inode {} is not in use, but marked so", first + index);
                findings.push(Finding::damage("inode-bitmap-used", place.clone(), detail));
            }
        };
        for (index, usage) in self.inodes.in_use(group) {
            marked(self.findings, next..index);
            next = index + 1;
            if usage == Use::Unknown {
                used += u32::from(bitmap.is_set(index));
                continue;
            }
            used += 1;
            directories += u32::from(usage.is_directory());
            if !bitmap.is_set(index) {
                let detail = format!("inode {} is in use, but marked free", first + index);
                self.findings.push(Finding::damage("inode-bitmap-free", place.clone(), detail));
            }
        }
        marked(self.findings, next..bitmap.length());
        if !bitmap.is_padding_set() {
            let detail = format!("bits after the last of its {} are not set", bitmap.length());
            self.findings.push(Finding::damage("inode-bitmap-padding", place, detail));
        }
        let free = bitmap.length() - used;
        totals.free_inodes += u64::from(free);
        self.compare(group, "group-free-inodes", "bg_free_inodes_count", descriptor.bg_free_inodes_count, free);
        if self.are_names_complete {
            self.compare(group, "group-used-dirs", "bg_used_dirs_count", descriptor.bg_used_dirs_count, directories);
        }
    }

    fn compare(&mut self, group: u32, code: &'static str, field: &str, stored: u32, counted: u32) {
        if stored != counted {
            let detail = format!("{field} is {stored}, counted {counted}");
            self.findings.push(Finding::damage(code, format!("group {group} descriptor"), detail));
        }
    }

    /// The totals are notes only: the kernel keeps them in memory while it is mounted and sums the groups up when it
    /// mounts, and e2fsck corrects them without calling it an error.
    fn compare_totals(&mut self, totals: &Totals) {
        let superblock = &self.filesystem.superblock;
        let free_blocks = totals.free_clusters * superblock.blocks_per_cluster();
        for (code, field, stored, counted) in [
            ("superblock-free-blocks", "s_free_blocks_count", superblock.s_free_blocks_count, free_blocks),
            (
                "superblock-free-inodes",
                "s_free_inodes_count",
                superblock.s_free_inodes_count.into(),
                totals.free_inodes,
            ),
        ] {
            if stored != counted {
                let detail = format!("{field} is {stored}, counted {counted}");
                self.findings.push(Finding::note(code, "superblock", detail));
            }
        }
    }
}
