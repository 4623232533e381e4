//! Filesystems that have no signature long enough to be believed by itself, or none at a fixed place.

use crate::bytes::{be32, has, le16, u8_at};

/// The name of what `head` is the start of.
pub(super) fn name(head: &[u8]) -> Option<&'static str> {
    if is_udf(head) {
        return Some("udf");
    }
    if has(head, 0x8001, b"CD001") || has(head, 0x8009, b"CDROM") {
        return Some("iso9660");
    }
    if is_hfs(head) {
        return Some("hfs");
    }
    is_minix(head).then_some("minix")
}

/// ECMA-167, 2/8: among the volume structure descriptors of 2 KiB from 32 KiB on is one of `NSR`. Discs that are ISO 9660
/// as well have it behind theirs.
fn is_udf(head: &[u8]) -> bool {
    let descriptors = (0x8000..0x1_0000).step_by(2048);
    let is_one = |at: usize| head.get(at + 1..at + 6).is_some_and(|id| id.iter().all(u8::is_ascii_alphanumeric));
    let mut run = descriptors.take_while(|at| is_one(*at));
    run.any(|at| has(head, at + 1, b"NSR02") || has(head, at + 1, b"NSR03"))
}

/// "Inside Macintosh: Files", 2-60: the signature word, and the size of an allocation block, a multiple of 512.
fn is_hfs(head: &[u8]) -> bool {
    let allocation_block = be32(head, 1024 + 20);
    has(head, 1024, b"BD") && allocation_block != 0 && allocation_block.is_multiple_of(512)
}

/// `struct minix_super_block` and `minix3_super_block` of `include/uapi/linux/minix_fs.h`.
fn is_minix(head: &[u8]) -> bool {
    let Some(superblock) = head.get(1024..1024 + 32) else { return false };
    let is_old = matches!(le16(superblock, 16), 0x137f | 0x138f | 0x2468 | 0x2478);
    let is_new = le16(superblock, 24) == 0x4d5a;
    // s_imap_blocks, s_zmap_blocks, s_firstdatazone, s_log_zone_size.
    let at = if is_new { 6 } else { 4 };
    let (imap, zmap) = (u32::from(le16(superblock, at)), u32::from(le16(superblock, at + 2)));
    let first_data_zone = u32::from(le16(superblock, at + 4));
    let zones_are_blocks = u8_at(superblock, at + 6) == 0 && u8_at(superblock, at + 7) == 0;
    (is_old || is_new) && imap > 0 && zmap > 0 && first_data_zone > 2 + imap + zmap && zones_are_blocks
}
