//! Linux software RAID (`drivers/md/md.c`): a member's superblock lies at its start, 4 KiB on, or near its end.

use crate::bytes::{be32, le32, le64};
use crate::identity::{Identity, dce, of_words, text};
use crate::read_at::read;
use crate::{Finding, ProbeError, ReadAt};

const MD_SB_MAGIC: u32 = 0xa92b_4efc;

/// A superblock, and the sector that it is in.
enum Superblock {
    /// Format 1: `struct mdp_superblock_1`.
    One(Vec<u8>, u64),
    /// Format 0.90: `mdp_super_t`, in the byte order of its machine.
    Old(Vec<u8>),
}

pub(super) fn is_member(volume: &dyn ReadAt, head: &[u8]) -> bool {
    find(volume, head).is_some()
}

fn find(volume: &dyn ReadAt, head: &[u8]) -> Option<Superblock> {
    let sectors = volume.size_bytes() / 512;
    // Format 1: magic, major_version, and at byte 144 the sector that the superblock itself is in.
    let version_1 = |bytes: Vec<u8>, sector: u64| {
        let is_one = le32(&bytes, 0) == MD_SB_MAGIC && le32(&bytes, 4) == 1 && le64(&bytes, 144) == sector;
        is_one.then_some(Superblock::One(bytes, sector))
    };
    let at = |offset: usize| head.get(offset..offset + 256).unwrap_or_default().to_vec();
    let tail = |sector: u64| read(volume, sector * 512, 256, "").unwrap_or_default();
    version_1(at(0), 0)
        .or_else(|| version_1(at(4096), 8))
        .or_else(|| {
            let sector = sectors.checked_sub(16)? & !7;
            version_1(tail(sector), sector)
        })
        .or_else(|| {
            let bytes = tail((sectors & !127).checked_sub(128)?);
            let is_magic = le32(&bytes, 0) == MD_SB_MAGIC || be32(&bytes, 0) == MD_SB_MAGIC;
            (is_magic && le32(&bytes, 4) == 0).then_some(Superblock::Old(bytes))
        })
}

fn of(volume: &dyn ReadAt) -> Result<Option<Superblock>, ProbeError> {
    let head = read(volume, 0, usize::try_from(volume.size_bytes().min(8 << 10)).unwrap_or(0), "RAID superblock")?;
    Ok(find(volume, &head))
}

/// The array's UUID and name.
pub(crate) fn identity(volume: &dyn ReadAt) -> Option<Identity> {
    Some(match of(volume).ok()?? {
        Superblock::One(bytes, _) => Identity { label: bytes.get(32..64).and_then(text), uuid: dce(&bytes, 16) },
        Superblock::Old(bytes) => {
            let is_little_endian = le32(&bytes, 0) == MD_SB_MAGIC;
            Identity { label: None, uuid: Some(of_words(&bytes, [20, 52, 56, 60], is_little_endian)) }
        }
    })
}

/// What is missing of a member: the kernel refuses one that is shorter than its superblock says (`super_1_load`).
pub(crate) fn missing(volume: &dyn ReadAt) -> Result<Option<Finding>, ProbeError> {
    let Some(Superblock::One(bytes, sector)) = of(volume)? else { return Ok(None) };
    let (data_offset, data_size) = (le64(&bytes, 128), le64(&bytes, 136));
    let sectors = volume.size_bytes() / 512;
    // With the superblock at the end, the data ends before it.
    let room = if sector > 8 { sector } else { sectors.saturating_sub(data_offset) };
    Ok((data_size > room).then(|| {
        let detail = format!("its data has {data_size} sectors, its volume room for {room}: is it truncated?");
        Finding::damage("raid-truncated", "RAID superblock", detail)
    }))
}
