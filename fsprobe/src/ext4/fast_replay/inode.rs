//! An inode, as it is changed.

use super::mapping::Mapping;
use super::space::Space;
use super::writes::Writes;
use crate::ext4::extent_tree;
use crate::ext4::fault::Fault;
use crate::ext4::fields::{le16, le32, put};
use crate::ext4::inode::{GENERATION_OFFSET, I_BLOCK};
use crate::ext4::{FileType, Filesystem, Inode};

const DTIME_OFFSET: usize = 0x14;
const LINKS_OFFSET: usize = 0x1a;

/// An inode as it will be.
pub(super) struct Edited {
    number: u32,
    raw: Vec<u8>,
    pub(super) is_in_use: bool,
    /// What it was before, where it was in use.
    pub(super) before: Option<Inode>,
    /// What it maps, before and now: from when that is asked for.
    mappings: Option<(Mapping, Mapping)>,
    /// For a directory that was made: the one that it is in.
    pub(super) parent: Option<u32>,
}

impl Edited {
    /// Inode `number` as it is on the volume.
    pub(super) fn load(filesystem: &Filesystem<'_>, number: u32, is_in_use: bool) -> Result<Self, Fault> {
        let mut raw = filesystem.raw_inode(number)?;
        let before = if is_in_use { Some(filesystem.parse_inode(number, &raw)?) } else { None };
        if !is_in_use {
            raw.fill(0);
        }
        Ok(Self { number, raw, is_in_use, before, mappings: None, parent: None })
    }

    /// It, as it is now.
    pub(super) fn inode(&self, filesystem: &Filesystem<'_>) -> Inode {
        filesystem.unverified_inode(self.number, &self.raw)
    }

    pub(super) fn links(&self) -> u16 {
        le16(&self.raw, LINKS_OFFSET)
    }

    pub(super) fn set_links(&mut self, links: u16) {
        put(&mut self.raw, LINKS_OFFSET, &links.to_le_bytes());
    }

    pub(super) fn set_flags(&mut self, i_flags: u32) {
        put(&mut self.raw, 0x20, &i_flags.to_le_bytes());
    }

    pub(super) fn set_size(&mut self, i_size: u64) {
        put(&mut self.raw, 0x4, &(i_size as u32).to_le_bytes());
        put(&mut self.raw, 0x6c, &((i_size >> 32) as u32).to_le_bytes());
    }

    /// What it maps now.
    pub(super) fn mapping(
        &mut self,
        filesystem: &Filesystem<'_>,
        runs_left: &mut usize,
    ) -> Result<&mut Mapping, Fault> {
        let mappings = match (self.mappings.take(), &self.before) {
            (Some(mappings), _) => mappings,
            (None, Some(inode)) => {
                let before = Mapping::of(filesystem, inode, runs_left)?;
                (before.clone(), before)
            }
            (None, None) => Default::default(),
        };
        Ok(&mut self.mappings.insert(mappings).1)
    }

    /// Before and now, where that was asked for.
    pub(super) fn mappings(&self) -> Option<&(Mapping, Mapping)> {
        self.mappings.as_ref()
    }

    /// It had no name before either: it is in the chain of orphans.
    pub(super) fn was_orphan(&self) -> bool {
        self.before.as_ref().is_some_and(|inode| inode.i_links_count == 0)
    }

    /// Whether `fields` are those of another file, which was given the same number since.
    pub(super) fn is_replaced_by(&self, fields: &[u8]) -> bool {
        self.is_in_use && le32(fields, GENERATION_OFFSET) != le32(&self.raw, GENERATION_OFFSET)
    }

    /// Takes `fields` over, but for what it maps and how much that is.
    pub(super) fn set_fields(&mut self, filesystem: &Filesystem<'_>, fields: &[u8]) -> Result<(), Fault> {
        let old = self.inode(filesystem);
        let kept = self.raw.get(I_BLOCK).map(<[u8]>::to_vec).unwrap_or_default();
        put(&mut self.raw, 0, fields);
        let new = self.inode(filesystem);
        if new.has_inline_data() || old.has_inline_data() {
            return Err(unfollowed(self.number, "it has its data in the inode"));
        }
        if new.i_file_acl != old.i_file_acl {
            return Err(unfollowed(self.number, "its block of extended attributes changes"));
        }
        if self.is_in_use && new.has_extents() != old.has_extents() {
            return Err(unfollowed(self.number, "the way it maps its blocks changes"));
        }
        put(&mut self.raw, I_BLOCK.start, &kept);
        if let Some(orphan) = self.before.as_ref().filter(|_| self.was_orphan()) {
            // The next one in the chain as the full commits left it. With links, it is there to be truncated to its size.
            put(&mut self.raw, DTIME_OFFSET, &orphan.i_dtime.to_le_bytes());
        }
        if new.has_extents() && le16(&kept, 0) != extent_tree::MAGIC {
            put(&mut self.raw, I_BLOCK.start, &Mapping::empty_root());
        }
        self.is_in_use = true;
        Ok(())
    }

    /// Frees it and all that it maps.
    pub(super) fn delete(&mut self, filesystem: &Filesystem<'_>, runs_left: &mut usize) -> Result<(), Fault> {
        if self.inode(filesystem).i_file_acl != 0 {
            return Err(unfollowed(self.number, "it is deleted, with a block of extended attributes"));
        }
        *self.mapping(filesystem, runs_left)? = Mapping::default();
        self.raw.fill(0);
        self.is_in_use = false;
        Ok(())
    }

    /// Writes its extent tree anew, where what it maps may have changed, and returns `i_block`.
    pub(super) fn plant(
        &mut self,
        filesystem: &Filesystem<'_>,
        space: &mut Space<'_, '_>,
        writes: &mut Writes<'_, '_>,
    ) -> Result<Option<[u8; 60]>, Fault> {
        let inode = self.inode(filesystem);
        match &mut self.mappings {
            Some((_, now)) if self.is_in_use && inode.maps_blocks() => {
                let mut write = |block, node| writes.write(block, node);
                now.plant(filesystem, inode.checksum_seed(), &mut || space.allocate(), &mut write).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Its bytes at last, with how much it maps and its checksum.
    pub(super) fn finish(&mut self, filesystem: &Filesystem<'_>, i_block: Option<[u8; 60]>) -> &[u8] {
        if let Some(i_block) = i_block {
            put(&mut self.raw, I_BLOCK.start, &i_block);
        }
        if !self.is_in_use {
            return &self.raw;
        }
        let block_size = filesystem.superblock.block_size_bytes();
        let (before, now) = self.mappings.as_ref().map_or((0, 0), |(before, now)| (before.blocks(), now.blocks()));
        let sectors_before = match &self.before {
            // Blocks that are not mapped (of extended attributes) count, too.
            Some(inode) if self.is_same_file(inode) => {
                inode.sectors(block_size).saturating_sub(before * (block_size / 512))
            }
            _ => 0,
        };
        let sectors = sectors_before + now * (block_size / 512);
        let unit = if self.inode(filesystem).counts_blocks() { block_size / 512 } else { 1 };
        let i_blocks = sectors / unit;
        put(&mut self.raw, 0x1c, &(i_blocks as u32).to_le_bytes());
        put(&mut self.raw, 0x74, &((i_blocks >> 32) as u16).to_le_bytes());
        filesystem.seal_inode(self.number, &mut self.raw);
        &self.raw
    }

    fn is_same_file(&self, before: &Inode) -> bool {
        before.i_generation == le32(&self.raw, GENERATION_OFFSET)
    }

    pub(super) fn is_directory(&self, filesystem: &Filesystem<'_>) -> bool {
        self.is_in_use && self.inode(filesystem).file_type() == Some(FileType::Directory)
    }
}

/// Something that fast commits can do, but that is not done here.
pub(super) fn unfollowed(inode: u32, why: &str) -> Fault {
    Fault::unknown("fast-commits-not-replayed", format_args!("inode {inode}"), why)
}
