//! POSIX access control lists: ext4 stores them shorter than `getxattr(2)` shows them.
//!
//! `fs/ext4/acl.h` (`ext4_acl_header`, `ext4_acl_entry`), `include/uapi/linux/posix_acl_xattr.h`.

use crate::ext4::fields::{le16, le32};

pub(super) const ACCESS: &[u8] = b"system.posix_acl_access";
pub(super) const DEFAULT: &[u8] = b"system.posix_acl_default";

const STORED_VERSION: u32 = 1;
const XATTR_VERSION: u32 = 2;
const USER: u16 = 0x2;
const GROUP: u16 = 0x8;
/// The entries that stand for the owner, the owning group, the mask and all others.
const WITHOUT_ID: [u16; 4] = [0x1, 0x4, 0x10, 0x20];
const UNDEFINED_ID: u32 = u32::MAX;

/// The list as `getxattr(2)` shows it; `None` where it is malformed.
pub(super) fn as_xattr(stored: &[u8]) -> Option<Vec<u8>> {
    if stored.len() < 4 || le32(stored, 0) != STORED_VERSION {
        return None;
    }
    let mut shown = XATTR_VERSION.to_le_bytes().to_vec();
    let mut rest = stored.get(4..)?;
    while !rest.is_empty() {
        let e_tag = le16(rest, 0);
        let size = match e_tag {
            USER | GROUP => 8,
            tag if WITHOUT_ID.contains(&tag) => 4,
            _ => return None,
        };
        let entry = rest.get(..size)?;
        let e_id = if size == 8 { le32(entry, 4) } else { UNDEFINED_ID };
        shown.extend_from_slice(entry.get(..4)?);
        shown.extend_from_slice(&e_id.to_le_bytes());
        rest = rest.get(size..)?;
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_ends_within_an_entry_is_malformed() {
        let stored = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 0xe8, 3, 0, 0];
        let shown = [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe8, 3, 0, 0];
        assert_eq!(as_xattr(&stored).unwrap(), shown);
        for length in [0, 3, 6, 12, 15] {
            assert_eq!(as_xattr(&stored[..length]), None, "{length}");
        }
    }
}
