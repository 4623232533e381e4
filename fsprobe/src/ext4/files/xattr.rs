//! Extended attributes: in the inode after its fields, in a block of their own, and large values in inodes of theirs.
//!
//! <https://docs.kernel.org/filesystems/ext4/attributes.html>

use super::acl;
use super::node::Node;
use crate::ext4::Filesystem;
use crate::ext4::checksum::{crc32c_le, crc32c_without};
use crate::ext4::fault::Fault;
use crate::ext4::fields::{byte, le16, le32};
use crate::{ProbeError, ReadAt};

const MAGIC: u32 = 0xea02_0000;
const BLOCK_HEADER: usize = 32;
const CHECKSUM_OFFSET: usize = 16;
const ENTRY_HEADER: usize = 16;
/// The largest value that Linux takes.
const MAX_VALUE_BYTES: u32 = 64 << 10;
/// All values of one file.
const MAX_VALUES_BYTES: usize = 16 << 20;

const SYSTEM: u8 = 7;
const ENCRYPTION: u8 = 9;
const INLINE_DATA_NAME: &[u8] = b"data";

/// An extended attribute, as `getxattr(2)` would give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// With its namespace, as `user.comment`.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// One entry, its value not looked at.
struct Raw<'b> {
    e_name_index: u8,
    name: &'b [u8],
    e_value_offs: usize,
    e_value_inum: u32,
    e_value_size: u32,
}

impl Raw<'_> {
    fn full_name(&self) -> Option<Vec<u8>> {
        let prefix: &[u8] = match self.e_name_index {
            1 => b"user.",
            2 => acl::ACCESS,
            3 => acl::DEFAULT,
            4 => b"trusted.",
            6 => b"security.",
            SYSTEM => b"system.",
            8 => b"system.richacl",
            _ => return None,
        };
        let is_whole = matches!(self.e_name_index, 2 | 3 | 8);
        if is_whole != self.name.is_empty() || self.name.contains(&0) {
            return None;
        }
        Some([prefix, self.name].concat())
    }
}

/// The entries of `region` from `first` on: they end with four zeros, or with the region.
fn entries(region: &[u8], first: usize) -> impl Iterator<Item = Raw<'_>> {
    let mut at = first;
    std::iter::from_fn(move || {
        let entry = region.get(at..).filter(|entry| entry.len() >= ENTRY_HEADER && le32(entry, 0) != 0)?;
        let e_name_len = usize::from(byte(entry, 0));
        at += (ENTRY_HEADER + e_name_len).next_multiple_of(4);
        Some(Raw {
            e_name_index: byte(entry, 1),
            name: entry.get(ENTRY_HEADER..ENTRY_HEADER + e_name_len)?,
            e_value_offs: le16(entry, 2).into(),
            e_value_inum: le32(entry, 4),
            e_value_size: le32(entry, 8),
        })
    })
}

/// What follows the fields of an inode: entries, then values; empty where there are none.
fn in_inode(node: &Node) -> &[u8] {
    let start = 128 + usize::from(node.inode.i_extra_isize);
    let region = node.raw.get(start..).unwrap_or_default();
    if node.inode.i_extra_isize == 0 || le32(region, 0) != MAGIC {
        return &[];
    }
    region.get(4..).unwrap_or_default()
}

impl Filesystem<'_> {
    /// The extended attributes of a file, but for those that ext4 keeps for itself.
    ///
    /// # Errors
    /// `xattr-*`; those of reading.
    pub fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>, Fault> {
        let mut found = Vec::new();
        self.collect(node, in_inode(node), 0, &mut found)?;
        if node.inode.i_file_acl != 0 {
            let block = self.read_xattr_block(node)?;
            self.collect(node, &block, BLOCK_HEADER, &mut found)?;
        }
        Ok(found)
    }

    /// The content of a file that is in the inode: first `i_block`, then the value of `system.data`.
    pub(super) fn inline_data(&self, node: &Node) -> Result<Vec<u8>, Fault> {
        let region = in_inode(node);
        let mut data = node.inode.i_block.to_vec();
        let rest = entries(region, 0).find(|raw| raw.e_name_index == SYSTEM && raw.name == INLINE_DATA_NAME);
        if let Some(raw) = rest {
            data.extend(self.value(node, region, &raw)?);
        }
        Ok(data)
    }

    fn collect(&self, node: &Node, region: &[u8], first: usize, found: &mut Vec<Xattr>) -> Result<(), Fault> {
        for raw in entries(region, first) {
            let is_own = raw.e_name_index == SYSTEM && raw.name == INLINE_DATA_NAME;
            if is_own || raw.e_name_index == ENCRYPTION {
                continue;
            }
            let Some(name) = raw.full_name() else {
                let detail = format!("e_name_index {} with the name {}", raw.e_name_index, raw.name.escape_ascii());
                return Err(Fault::damage("xattr-name", node.place(), detail));
            };
            let mut value = self.value(node, region, &raw)?;
            if name == acl::ACCESS || name == acl::DEFAULT {
                value = acl::as_xattr(&value)
                    .ok_or_else(|| Fault::damage("xattr-acl", node.place(), "its access control list is malformed"))?;
            }
            let kept: usize = found.iter().map(|xattr| xattr.value.len()).sum();
            if kept + value.len() > MAX_VALUES_BYTES {
                let detail = format!("its extended attributes have more than {MAX_VALUES_BYTES} bytes");
                return Err(Fault::unknown("xattr-size", node.place(), detail));
            }
            found.push(Xattr { name, value });
        }
        Ok(())
    }

    /// The value of `raw`, whose offset counts from the start of `region`.
    fn value(&self, node: &Node, region: &[u8], raw: &Raw<'_>) -> Result<Vec<u8>, Fault> {
        let bad = |detail| Fault::damage("xattr-value", node.place(), detail);
        let size = raw.e_value_size;
        if size > MAX_VALUE_BYTES {
            return Err(bad(format!("e_value_size is {size}, more than {MAX_VALUE_BYTES}")));
        }
        let length = usize::try_from(size).unwrap_or_default();
        if raw.e_value_inum == 0 {
            let value = region.get(raw.e_value_offs..).and_then(|rest| rest.get(..length));
            let outside = || bad(format!("e_value_offs {} + {size} is outside of its place", raw.e_value_offs));
            return value.map(<[u8]>::to_vec).ok_or_else(outside);
        }
        let holder = self.any_node(raw.e_value_inum)?;
        if !holder.inode.is_ea_inode() || holder.inode.i_size != u64::from(size) {
            return Err(bad(format!("inode {} does not hold a value of {size} bytes", raw.e_value_inum)));
        }
        let mut value = vec![0; length];
        self.content(&holder)?.read_exact_at(&mut value, 0).map_err(|source| {
            let place = format!("ext4 {}, extended attribute", holder.place());
            Fault::Io(ProbeError::Io { place, offset_bytes: 0, length_bytes: size.into(), source })
        })?;
        Ok(value)
    }

    fn read_xattr_block(&self, node: &Node) -> Result<Vec<u8>, Fault> {
        let number = node.inode.i_file_acl;
        let place = format!("{}, attribute block {number}", node.place());
        let block = self.read_block(number, &place)?;
        if le32(&block, 0) != MAGIC {
            return Err(Fault::damage("xattr-magic", place, format!("h_magic is {:#x}", le32(&block, 0))));
        }
        if self.superblock.has_metadata_csum() {
            let seed = crc32c_le(self.superblock.checksum_seed(), &number.to_le_bytes());
            let computed = crc32c_without(seed, &block, CHECKSUM_OFFSET, 4);
            let stored = le32(&block, CHECKSUM_OFFSET);
            if stored != computed {
                let detail = format!("h_checksum is {stored:#010x}, computed {computed:#010x}");
                return Err(Fault::damage("xattr-checksum", place, detail));
            }
        }
        Ok(block)
    }
}
