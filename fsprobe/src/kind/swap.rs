//! Linux swap space (`union swap_header` of `include/linux/swap.h`): the signature ends its first page, whose size depends
//! on the machine that made it, and so does the byte order.

use crate::bytes::{be32, has, le32};
use crate::read_at::read;
use crate::{Finding, Findings, ProbeError, ReadAt};

/// `tuxonice_signature` of the patches that suspended with it.
const TUX_ON_ICE: &[u8] = &[0xed, 0xc3, 0x02, 0xe9, 0x98, 0x56, 0xe5, 0x0c];

/// A swap header, or what a hibernation left in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Swap {
    /// The page that holds the header, and the only one of the space that a backup needs.
    pub page_bytes: u64,
    /// The first byte behind its last page. What is there is not swap space.
    pub end_bytes: u64,
    /// The pages hold the memory of a hibernated system.
    pub hibernated: bool,
}

pub(super) fn swap(head: &[u8]) -> Option<Swap> {
    [4096_usize, 8192, 16384, 32768, 65536].into_iter().find_map(|page| {
        let at = page - 10;
        let hibernated = [&b"S1SUSPEND"[..], b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001", TUX_ON_ICE];
        let hibernated = hibernated.iter().any(|magic| has(head, at, magic));
        let page_bytes = page as u64;
        let end_bytes = if has(head, at, b"SWAPSPACE2") {
            last_page(head)?.saturating_add(1).saturating_mul(page_bytes)
        } else if hibernated || has(head, at, b"SWAP-SPACE") {
            // The first version has a bitmap in its first page and no length.
            page_bytes
        } else {
            return None;
        };
        Some(Swap { page_bytes, end_bytes, hibernated })
    })
}

/// The number of the last page that a header of version 1 names; the kernel refuses others.
fn last_page(head: &[u8]) -> Option<u64> {
    let number = match (le32(head, 1024), be32(head, 1024)) {
        (1, _) => le32(head, 1028),
        (_, 1) => be32(head, 1028),
        _ => return None,
    };
    (number > 0).then_some(number.into())
}

/// Reads the header of a swap space.
pub(crate) fn swap_of(volume: &dyn ReadAt) -> Result<Option<Swap>, ProbeError> {
    let length = usize::try_from(volume.size_bytes().min(64 << 10)).unwrap_or(0);
    Ok(swap(&read(volume, 0, length, "swap header")?))
}

/// Adds what keeps swap space from being used as it is: a hibernated system, and an end behind that of its volume, with
/// which the kernel refuses it (`swapon`: "shorter than signature indicates").
pub(crate) fn check(volume: &dyn ReadAt, findings: &mut Findings) -> Result<(), ProbeError> {
    let Some(swap) = swap_of(volume)? else { return Ok(()) };
    if swap.hibernated {
        let detail = "it holds the memory of a hibernated system, whose filesystems are not in order";
        findings.push(Finding::warning("swap-hibernated", "swap header", detail));
    }
    if swap.end_bytes > volume.size_bytes() {
        let detail = format!("it has {} bytes, its volume {}: is it truncated?", swap.end_bytes, volume.size_bytes());
        findings.push(Finding::damage("swap-truncated", "swap header", detail));
    }
    Ok(())
}
