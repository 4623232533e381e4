//! The inode of a regular file (`struct xfs_dinode` of `fs/xfs/libxfs/xfs_format.h`; what is checked is what
//! `xfs_dinode_verify` checks of the fields that are used).

use super::geometry::Geometry;
use super::inode_tree::is_in_use;
use super::superblock::Superblock;
use crate::bytes::{be16, be32, be64, has, le32, u8_at};
use crate::read_at::read;
use crate::{FileError, ReadAt};

/// `S_IFMT` and `S_IFREG`.
const TYPE_BITS: u16 = 0o170_000;
const REGULAR: u16 = 0o100_000;
/// `XFS_DIFLAG_REALTIME`.
const REALTIME: u16 = 1;
/// `XFS_DIFLAG2_NREXT64`.
const LARGE_COUNTS: u64 = 1 << 4;
/// `XFS_DIFLAG2_METADATA`.
const METADATA: u64 = 1 << 5;
const CRC_OFFSET: usize = 100;
/// An extent record (`xfs_bmbt_rec`).
pub(super) const RECORD_BYTES: usize = 16;

/// How the data fork says where the content is.
#[derive(Debug)]
pub(super) enum Fork<'i> {
    /// `XFS_DINODE_FMT_EXTENTS`: records in the inode.
    Extents(&'i [u8]),
    /// `XFS_DINODE_FMT_BTREE`: the root of a tree of them.
    Btree(&'i [u8]),
}

/// The inode of a regular file that is in use.
#[derive(Debug)]
pub(super) struct Inode {
    pub number: u64,
    pub di_size: u64,
    /// Extent records of the data fork.
    pub di_nextents: u64,
    is_btree: bool,
    fork: Vec<u8>,
}

impl Inode {
    /// Reads and checks the inode `number`.
    pub fn of(volume: &dyn ReadAt, geometry: &Geometry, number: u64) -> Result<Self, FileError> {
        let not_there = |detail: &str| FileError::NotThere { inode: number, detail: detail.into() };
        let place = geometry.inode_place(number);
        let (group, within, offset) = place.ok_or_else(|| not_there("the number is out of range"))?;
        if !is_in_use(volume, geometry, group, within)? {
            return Err(not_there("it is free"));
        }
        let raw = read(volume, offset, geometry.superblock.sb_inodesize.into(), "XFS inode")?;
        let has_checksums = geometry.superblock.has_checksums();
        let bad = |why: String| FileError::bad(format!("inode {number}: {why}"));
        if !has(&raw, 0, b"IN") {
            return Err(bad(format!("its magic is {:#06x}", be16(&raw, 0))));
        }
        let di_version = u8_at(&raw, 4);
        if di_version != if has_checksums { 3 } else { 2 } {
            return Err(bad(format!("its version is {di_version}")));
        }
        if has_checksums {
            let (di_crc, computed) = (le32(&raw, CRC_OFFSET), Superblock::checksum(&raw, CRC_OFFSET));
            if di_crc != computed {
                return Err(bad(format!("its checksum is {di_crc:#010x}, its bytes give {computed:#010x}")));
            }
            let di_ino = be64(&raw, 152);
            if di_ino != number || !has(&raw, 160, &geometry.superblock.meta_uuid) {
                return Err(bad(format!("it says that it is inode {di_ino}, or of a filesystem with another UUID")));
            }
        }
        let (di_mode, di_nlink) = (be16(&raw, 2), be32(&raw, 16));
        let (di_flags, di_flags2) = (be16(&raw, 90), if has_checksums { be64(&raw, 120) } else { 0 });
        if di_mode == 0 || di_nlink == 0 {
            return Err(not_there("it is not in use"));
        }
        if di_flags2 & METADATA != 0 {
            return Err(not_there("it belongs to the filesystem itself"));
        }
        if di_mode & TYPE_BITS != REGULAR {
            return Err(FileError::NotRegular { inode: number });
        }
        if di_flags & REALTIME != 0 {
            return Err(bad("its content is in the realtime part, which is not read here".into()));
        }
        let di_size = be64(&raw, 56);
        if i64::try_from(di_size).is_err() {
            return Err(bad(format!("di_size is {di_size:#x}")));
        }
        let is_btree = match u8_at(&raw, 5) {
            2 => false,
            3 => true,
            di_format => return Err(bad(format!("di_format is {di_format}: no file has its content so"))),
        };
        let fork_offset = if has_checksums { 176 } else { 100 };
        let fork = raw.get(fork_offset..).unwrap_or_default();
        let fork_bytes = match usize::from(u8_at(&raw, 82)) * 8 {
            0 => fork.len(),
            di_forkoff => di_forkoff,
        };
        let fork = fork.get(..fork_bytes).ok_or_else(|| bad("di_forkoff is beyond its end".into()))?.to_vec();
        let di_nextents = if di_flags2 & LARGE_COUNTS != 0 { be64(&raw, 24) } else { be32(&raw, 76).into() };
        Ok(Self { number, di_size, di_nextents, is_btree, fork })
    }

    /// Its data fork.
    pub fn fork(&self) -> Result<Fork<'_>, FileError> {
        if self.is_btree {
            return Ok(Fork::Btree(&self.fork));
        }
        let bytes = usize::try_from(self.di_nextents).ok().and_then(|count| count.checked_mul(RECORD_BYTES));
        let records = bytes.and_then(|bytes| self.fork.get(..bytes));
        records.map(Fork::Extents).ok_or_else(|| self.bad(format!("{} extents are not in it", self.di_nextents)))
    }

    pub fn bad(&self, why: impl std::fmt::Display) -> FileError {
        FileError::bad(format!("inode {}: {why}", self.number))
    }
}
