//! ext2, ext3, ext4 and their journals on other devices, told apart by their feature flags as e2fsprogs does.

use super::Kind;
use crate::bytes::{has, le32};

const SUPERBLOCK: usize = 1024;
const COMPAT_HAS_JOURNAL: u32 = 0x4;
const INCOMPAT_JOURNAL_DEV: u32 = 0x8;
/// Features that an ext2 or ext3 driver knows: filetype, recover, meta_bg; sparse_super, large_file.
const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x10;
const EXT3_RO_COMPAT: u32 = 0x1 | 0x2;

pub(super) fn recognise(head: &[u8]) -> Option<Kind> {
    let superblock = head.get(SUPERBLOCK..SUPERBLOCK + 1024)?;
    let s_log_block_size = le32(superblock, 24);
    let s_blocks_count = le32(superblock, 4);
    let s_blocks_count_hi = le32(superblock, 0x150);
    if !has(superblock, 56, &[0x53, 0xef]) || s_log_block_size > 6 || (s_blocks_count | s_blocks_count_hi) == 0 {
        return None;
    }
    let s_feature_compat = le32(superblock, 92);
    let s_feature_incompat = le32(superblock, 96);
    let s_feature_ro_compat = le32(superblock, 100);
    if s_feature_incompat & INCOMPAT_JOURNAL_DEV != 0 {
        return Some(Kind::ExtJournal);
    }
    let beyond_ext3 = s_feature_incompat & !EXT3_INCOMPAT != 0 || s_feature_ro_compat & !EXT3_RO_COMPAT != 0;
    Some(match (beyond_ext3, s_feature_compat & COMPAT_HAS_JOURNAL != 0) {
        (true, _) => Kind::Ext4,
        (false, true) => Kind::Ext3,
        (false, false) => Kind::Ext2,
    })
}
