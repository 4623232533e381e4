//! Inodes.
//!
//! <https://docs.kernel.org/filesystems/ext4/inodes.html>; 128 bytes or more, little-endian.

use super::checksum::{crc32c_le, crc32c_without};
use super::fault::Fault;
use super::fields::{array, joined, le16, le32, put};
use super::filesystem::{Filesystem, read_volume};

/// `i_flags`: names or content are ciphertext.
pub(super) const ENCRYPT_FL: u32 = 0x800;
/// `i_flags`: the directory has an index.
pub(super) const INDEX_FL: u32 = 0x1000;
/// `i_flags`: after its data, a file holds hashes of it.
pub(super) const VERITY_FL: u32 = 0x10_0000;
/// `i_flags`: names that differ in case only are the same.
pub(super) const CASEFOLD_FL: u32 = 0x4000_0000;
/// `i_flags`: blocks are found by an extent tree in `i_block`.
const EXTENTS_FL: u32 = 0x8_0000;
/// `i_flags`: the data is in the inode itself.
const INLINE_DATA_FL: u32 = 0x1000_0000;
/// `i_flags`: an extended attribute's value, not a file.
const EA_INODE_FL: u32 = 0x20_0000;
/// `i_flags`: `i_blocks` counts filesystem blocks, not sectors.
const HUGE_FILE_FL: u32 = 0x4_0000;
/// Where the fields begin that `i_extra_isize` counts.
pub(super) const OLD_SIZE: usize = 128;
/// Where `i_block` is.
pub(super) const I_BLOCK: std::ops::Range<usize> = 0x28..0x64;
/// Where `i_generation` is, which tells one file from the next with the same number.
pub(super) const GENERATION_OFFSET: usize = 0x64;
const CHECKSUM_LOW: usize = 0x7c;
const CHECKSUM_HIGH: usize = 0x82;

/// What an inode is, by the top bits of `i_mode`. The values are the codes of `file_type` in a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum FileType {
    Regular = 1,
    Directory = 2,
    CharacterDevice = 3,
    BlockDevice = 4,
    Fifo = 5,
    Socket = 6,
    Symlink = 7,
}

/// An inode. Fields keep the kernel's names, both halves of a number joined.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // The fields are those of the page linked above.
pub struct Inode {
    pub number: u32,
    pub i_mode: u16,
    pub i_size: u64,
    pub i_dtime: u32,
    pub i_links_count: u16,
    /// In the unit that `i_flags` says: see [`Inode::sectors`].
    pub i_blocks: u64,
    pub i_flags: u32,
    /// Extent tree root, block map, or inline data.
    pub i_block: [u8; 60],
    pub i_generation: u32,
    pub i_file_acl: u64,
    pub i_extra_isize: u16,
    checksum_seed: u32,
}

impl Inode {
    /// What it is; `None` where the mode says nothing that exists.
    #[must_use]
    pub fn file_type(&self) -> Option<FileType> {
        Some(match self.i_mode >> 12 {
            0x1 => FileType::Fifo,
            0x2 => FileType::CharacterDevice,
            0x4 => FileType::Directory,
            0x6 => FileType::BlockDevice,
            0x8 => FileType::Regular,
            0xa => FileType::Symlink,
            0xc => FileType::Socket,
            _ => return None,
        })
    }

    /// Its blocks are found by an extent tree, else by a block map.
    #[must_use]
    pub fn has_extents(&self) -> bool {
        self.i_flags & EXTENTS_FL != 0
    }

    /// Its data is in the inode.
    #[must_use]
    pub fn has_inline_data(&self) -> bool {
        self.i_flags & INLINE_DATA_FL != 0
    }

    /// It holds the value of an extended attribute.
    #[must_use]
    pub fn is_ea_inode(&self) -> bool {
        self.i_flags & EA_INODE_FL != 0
    }

    /// A symlink whose target is in `i_block`, which therefore maps nothing.
    #[must_use]
    pub fn is_fast_symlink(&self) -> bool {
        self.file_type() == Some(FileType::Symlink) && !self.has_extents() && self.i_size < 60
    }

    /// Whether `i_block` is a map of blocks at all.
    #[must_use]
    pub fn maps_blocks(&self) -> bool {
        matches!(self.file_type(), Some(FileType::Regular | FileType::Directory | FileType::Symlink))
            && !self.has_inline_data()
            && !self.is_fast_symlink()
    }

    /// `i_blocks` counts filesystem blocks, not sectors.
    pub(super) fn counts_blocks(&self) -> bool {
        self.i_flags & HUGE_FILE_FL != 0
    }

    /// Sectors of 512 bytes that it says it holds.
    #[must_use]
    pub fn sectors(&self, block_size_bytes: u64) -> u64 {
        if self.counts_blocks() { self.i_blocks.saturating_mul(block_size_bytes / 512) } else { self.i_blocks }
    }

    /// What the checksums of its extent blocks, directory blocks and orphan file blocks begin with.
    #[must_use]
    pub fn checksum_seed(&self) -> u32 {
        self.checksum_seed
    }
}

fn extra_isize(raw: &[u8]) -> u16 {
    if raw.len() > OLD_SIZE { le16(raw, OLD_SIZE) } else { 0 }
}

/// Whether there is room for `i_checksum_hi`.
fn has_checksum_high(raw: &[u8]) -> bool {
    extra_isize(raw) >= 4
}

impl Filesystem<'_> {
    /// The inode in `raw`, which is `s_inode_size` long, its checksum verified. A batch of them can be read at once and
    /// parsed one by one.
    ///
    /// # Errors
    /// `inode-checksum`.
    pub fn parse_inode(&self, number: u32, raw: &[u8]) -> Result<Inode, Fault> {
        if let Some(computed) = self.inode_checksum(number, raw) {
            let high = if has_checksum_high(raw) { le16(raw, CHECKSUM_HIGH) } else { 0 };
            let stored = u32::from(high) << 16 | u32::from(le16(raw, CHECKSUM_LOW));
            if stored != computed {
                let detail = format!("i_checksum is {stored:#x}, computed {computed:#x}");
                return Err(Fault::damage("inode-checksum", format_args!("inode {number}"), detail));
            }
        }
        Ok(self.unverified_inode(number, raw))
    }

    /// The inode in `raw`, whatever its checksum says.
    pub(super) fn unverified_inode(&self, number: u32, raw: &[u8]) -> Inode {
        Inode {
            number,
            i_mode: le16(raw, 0x0),
            i_size: joined(le32(raw, 0x6c), le32(raw, 0x4)),
            i_dtime: le32(raw, 0x14),
            i_links_count: le16(raw, 0x1a),
            i_blocks: joined(le16(raw, 0x74).into(), le32(raw, 0x1c)),
            i_flags: le32(raw, 0x20),
            i_block: array(raw, I_BLOCK.start),
            i_generation: le32(raw, GENERATION_OFFSET),
            i_file_acl: joined(le16(raw, 0x76).into(), le32(raw, 0x68)),
            i_extra_isize: extra_isize(raw),
            checksum_seed: self.inode_seed(number, raw),
        }
    }

    /// Writes the checksum that belongs to the inode in `raw` into it, where there has to be one.
    pub(super) fn seal_inode(&self, number: u32, raw: &mut [u8]) {
        if let Some(computed) = self.inode_checksum(number, raw) {
            put(raw, CHECKSUM_LOW, &(computed as u16).to_le_bytes());
            if has_checksum_high(raw) {
                put(raw, CHECKSUM_HIGH, &((computed >> 16) as u16).to_le_bytes());
            }
        }
    }

    fn inode_seed(&self, number: u32, raw: &[u8]) -> u32 {
        let number_seed = crc32c_le(self.superblock.checksum_seed(), &number.to_le_bytes());
        crc32c_le(number_seed, &le32(raw, GENERATION_OFFSET).to_le_bytes())
    }

    /// What the checksum of the inode in `raw` is, as far as there is room for it; `None` without `metadata_csum`.
    fn inode_checksum(&self, number: u32, raw: &[u8]) -> Option<u32> {
        let (old, extra) = (raw.get(..OLD_SIZE).unwrap_or(raw), raw.get(OLD_SIZE..).unwrap_or_default());
        let computed = crc32c_without(self.inode_seed(number, raw), old, CHECKSUM_LOW, 2);
        let computed = match (extra.is_empty(), has_checksum_high(raw)) {
            (true, _) => computed & 0xffff,
            (false, false) => crc32c_le(computed, extra) & 0xffff,
            (false, true) => crc32c_without(computed, extra, CHECKSUM_HIGH - OLD_SIZE, 2),
        };
        self.superblock.has_metadata_csum().then_some(computed)
    }

    /// The group that `number` is in, and its index there; `None` where there is no such inode.
    #[must_use]
    pub fn inode_place(&self, number: u32) -> Option<(u32, u32)> {
        let index = number.checked_sub(1)?;
        let per_group = self.superblock.s_inodes_per_group;
        (number <= self.superblock.s_inodes_count).then_some((index / per_group, index % per_group))
    }

    /// Inode `number`, from its group's table.
    ///
    /// # Errors
    /// `inode-range`, `inode-checksum`, those of [`Filesystem::group`] and of reading.
    pub fn inode(&self, number: u32) -> Result<Inode, Fault> {
        self.parse_inode(number, &self.raw_inode(number)?)
    }

    /// The bytes of inode `number`, `s_inode_size` of them, not verified.
    pub(super) fn raw_inode(&self, number: u32) -> Result<Vec<u8>, Fault> {
        let mut raw = vec![0; usize::from(self.superblock.s_inode_size)];
        read_volume(self.volume, &mut raw, self.inode_offset_bytes(number)?, format_args!("inode {number}"))?;
        Ok(raw)
    }

    /// Where inode `number` begins.
    ///
    /// # Errors
    /// `inode-range`, those of [`Filesystem::group`].
    pub(super) fn inode_offset_bytes(&self, number: u32) -> Result<u64, Fault> {
        let Some((group, index)) = self.inode_place(number) else {
            let detail = format!("inodes go from 1 to {}", self.superblock.s_inodes_count);
            return Err(Fault::damage("inode-range", format_args!("inode {number}"), detail));
        };
        let table = self.group(group)?.bg_inode_table * self.superblock.block_size_bytes();
        Ok(table + u64::from(index) * u64::from(self.superblock.s_inode_size))
    }
}
