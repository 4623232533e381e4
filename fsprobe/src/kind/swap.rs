//! Linux swap space: the signature ends its first page, whose size depends on the machine that made it.

use crate::bytes::has;
use crate::read_at::read;
use crate::{ProbeError, ReadAt};

/// A swap header, or what a hibernation left in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Swap {
    /// The page that holds the header, and the only one that a backup needs.
    pub page_bytes: u64,
    /// The pages hold the memory of a hibernated system.
    pub hibernated: bool,
}

pub(super) fn swap(head: &[u8]) -> Option<Swap> {
    [4096_usize, 8192, 16384, 32768, 65536].into_iter().find_map(|page| {
        let at = page - 10;
        let header = has(head, at, b"SWAPSPACE2") || has(head, at, b"SWAP-SPACE");
        let hibernated = [&b"S1SUSPEND"[..], b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"];
        let hibernated = hibernated.iter().any(|magic| has(head, at, magic));
        (header || hibernated).then_some(Swap { page_bytes: page as u64, hibernated })
    })
}

/// Reads the header of a swap space.
pub(crate) fn swap_of(volume: &dyn ReadAt) -> Result<Option<Swap>, ProbeError> {
    let length = usize::try_from(volume.size_bytes().min(64 << 10)).unwrap_or(0);
    Ok(swap(&read(volume, 0, length, "swap header")?))
}
