//! The extended attributes of a file as `getxattr(2)` gives them; large values are in inodes of their own.

use super::acl;
use super::node::Node;
use crate::ext4::Filesystem;
use crate::ext4::fault::Fault;
use crate::ext4::xattr::{ENCRYPTION_INDEX, Entry, SYSTEM_INDEX, in_inode};
use crate::{ProbeError, ReadAt};

/// The largest value that Linux takes.
const MAX_VALUE_BYTES: u32 = 64 << 10;
/// All values of one file.
const MAX_VALUES_BYTES: usize = 16 << 20;

/// An extended attribute, as `getxattr(2)` would give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// With its namespace, as `user.comment`.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// The name with its namespace; `None` where no attribute can have it.
fn full_name(entry: &Entry<'_>) -> Option<Vec<u8>> {
    let prefix: &[u8] = match entry.e_name_index {
        1 => b"user.",
        2 => acl::ACCESS,
        3 => acl::DEFAULT,
        4 => b"trusted.",
        6 => b"security.",
        SYSTEM_INDEX => b"system.",
        8 => b"system.richacl",
        _ => return None,
    };
    let is_whole = matches!(entry.e_name_index, 2 | 3 | 8);
    if is_whole != entry.name.is_empty() || entry.name.contains(&0) {
        return None;
    }
    Some([prefix, entry.name].concat())
}

impl Filesystem<'_> {
    /// The extended attributes of a file, but for those that ext4 keeps for itself.
    ///
    /// # Errors
    /// `xattr-*`, `inode-extra-isize`; those of reading.
    pub fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>, Fault> {
        let mut found = Vec::new();
        self.collect(node, &in_inode(&node.inode, &node.raw)?, &mut found)?;
        if node.inode.i_file_acl != 0 {
            self.collect(node, &self.attribute_block(&node.inode)?.entries()?, &mut found)?;
        }
        Ok(found)
    }

    /// The content of a file that is in the inode: first `i_block`, then the value of `system.data`.
    pub(super) fn inline_data(&self, node: &Node) -> Result<Vec<u8>, Fault> {
        let entries = in_inode(&node.inode, &node.raw)?;
        let missing = || Fault::damage("inline-data", node.place(), "it has inline data, but no attribute for it");
        let rest = entries.iter().find(|entry| entry.is_inline_data()).ok_or_else(missing)?;
        Ok([&node.inode.i_block, rest.value].concat())
    }

    fn collect(&self, node: &Node, entries: &[Entry<'_>], found: &mut Vec<Xattr>) -> Result<(), Fault> {
        for entry in entries {
            if entry.is_inline_data() || entry.e_name_index == ENCRYPTION_INDEX {
                continue;
            }
            let Some(name) = full_name(entry) else {
                let detail = format!("e_name_index {} with the name {}", entry.e_name_index, entry.name.escape_ascii());
                return Err(Fault::damage("xattr-name", node.place(), detail));
            };
            let mut value = self.value(node, entry)?;
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

    fn value(&self, node: &Node, entry: &Entry<'_>) -> Result<Vec<u8>, Fault> {
        if entry.e_value_inum == 0 {
            return Ok(entry.value.to_vec());
        }
        let bad = |detail| Fault::damage("xattr-value", node.place(), detail);
        let size = entry.e_value_size;
        if size > MAX_VALUE_BYTES {
            return Err(bad(format!("e_value_size is {size}, more than {MAX_VALUE_BYTES}")));
        }
        let holder = self.any_node(entry.e_value_inum)?;
        if !holder.inode.is_ea_inode() || holder.inode.i_size != u64::from(size) {
            return Err(bad(format!("inode {} does not hold a value of {size} bytes", entry.e_value_inum)));
        }
        let mut value = vec![0; usize::try_from(size).unwrap_or_default()];
        self.content(&holder)?.read_exact_at(&mut value, 0).map_err(|source| {
            let place = format!("ext4 {}, extended attribute", holder.place());
            Fault::Io(ProbeError::Io { place, offset_bytes: 0, length_bytes: size.into(), source })
        })?;
        Ok(value)
    }
}
