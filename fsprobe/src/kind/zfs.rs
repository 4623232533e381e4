//! Members of a ZFS pool ("ZFS On-Disk Specification", chapter 1): four labels, two at each end of the device.

use crate::ReadAt;
use crate::bytes::{be64, has, le64};
use crate::read_at::read;

const LABEL_BYTES: u64 = 256 << 10;
/// `VDEV_UBERBLOCK_RING`: the second half of a label.
const RING_AT: u64 = 128 << 10;
const RING_BYTES: usize = 128 << 10;
const UBERBLOCK_MAGIC: u64 = 0x00ba_b10c;
/// `UBERBLOCK_SHIFT`: no uberblock is smaller.
const UBERBLOCK_BYTES: usize = 1 << 10;
/// The pool's configuration begins here, with the pair `version`.
const NVLIST_AT: usize = 16 << 10;

/// Whether one of the labels is there: its configuration, or an uberblock.
pub(super) fn is_member(volume: &dyn ReadAt, head: &[u8]) -> bool {
    if has(head, NVLIST_AT, &[1]) && has(head, NVLIST_AT + 24, b"version\0") {
        return true;
    }
    let end = volume.size_bytes() & !(LABEL_BYTES - 1);
    let labels = [Some(0), Some(LABEL_BYTES), end.checked_sub(2 * LABEL_BYTES), end.checked_sub(LABEL_BYTES)];
    labels.into_iter().flatten().any(|label| {
        let ring = read(volume, label + RING_AT, RING_BYTES, "").unwrap_or_default();
        let is_magic = |block: &[u8]| le64(block, 0) == UBERBLOCK_MAGIC || be64(block, 0) == UBERBLOCK_MAGIC;
        ring.chunks_exact(UBERBLOCK_BYTES).any(is_magic)
    })
}
