//! Signatures that are counted from the end of a disk: members of firmware RAIDs, DRBD, and two image files.
//!
//! The places are those of libblkid's `superblocks/isw_raid.c`, `ddf_raid.c`, `lsi_raid.c`, `adaptec_raid.c`,
//! `nvidia_raid.c`, `highpoint_raid.c`, `drbd.c`; of QEMU's `block/vpc.c` and `block/dmg.c`.

use crate::ReadAt;
use crate::bytes::has;
use crate::read_at::read;

/// The name of what ends `volume`.
pub(super) fn name(volume: &dyn ReadAt) -> Option<&'static str> {
    const SIGNATURES: [(&str, u64, usize, &[u8]); 11] = [
        // Sectors from the end, byte of that sector.
        ("isw_raid_member", 2, 0, b"Intel Raid ISM Cfg Sig. "),
        ("ddf_raid_member", 1, 0, &[0xde, 0x11, 0xde, 0x11]),
        ("ddf_raid_member", 257, 0, &[0xde, 0x11, 0xde, 0x11]),
        ("lsi_mega_raid_member", 1, 0, b"$XIDE$"),
        ("adaptec_raid_member", 1, 0, b"DPTM"),
        ("nvidia_raid_member", 2, 0, b"NVIDIA"),
        ("hpt45x_raid_member", 11, 0, &[0xf3, 0x16, 0x78, 0x5a]),
        ("promise_fasttrack_raid_member", 63, 0, b"Promise Technology, Inc."),
        ("drbd", 8, 60, &[0x83, 0x74, 0x02]),
        ("vhd", 1, 0, b"conectix"),
        ("dmg", 1, 0, b"koly"),
    ];
    let sectors = volume.size_bytes() / 512;
    let is_there = |back: u64, at: usize, magic: &[u8]| {
        let sector = sectors.checked_sub(back).and_then(|sector| read(volume, sector * 512, 512, "").ok());
        sector.is_some_and(|sector| has(&sector, at, magic))
    };
    SIGNATURES.iter().find(|(_, back, at, magic)| is_there(*back, *at, magic)).map(|(name, ..)| *name)
}
