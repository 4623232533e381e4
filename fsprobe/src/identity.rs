//! What people know a volume by: label and UUID, as `blkid` prints them.

use uuid::Uuid;

use crate::bytes::{be32, le32};
use crate::read_at::read;
use crate::{Kind, ReadAt, kind, lvm2, ntfs};

/// Label and UUID; the guest chose both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Escaped for a terminal.
    pub label: Option<String>,
    pub uuid: Option<String>,
}

/// Whatever `volume` says of itself. What cannot be read has no name.
pub(crate) fn identify(volume: &dyn ReadAt, kind: Kind) -> Identity {
    let place = |base: u64, uuid: usize, label: usize, length: usize| {
        let head = read(volume, base, 4096, "").ok()?;
        Some(Identity { label: head.get(label..label + length).and_then(text), uuid: dce(&head, uuid) })
    };
    let found = match kind {
        // s_uuid, s_volume_name.
        Kind::Ext2 | Kind::Ext3 | Kind::Ext4 | Kind::ExtJournal => place(0, 1024 + 0x68, 1024 + 0x78, 16),
        // sb_uuid, sb_fname.
        Kind::Xfs => place(0, 32, 108, 12),
        // fsid, label.
        Kind::Btrfs => place(64 << 10, 0x20, 0x12b, 256),
        // uuid and volume_name of union swap_header.
        Kind::Swap => is_swap_version_1(volume).then(|| place(0, 1024 + 12, 1024 + 28, 16)).flatten(),
        Kind::Luks => luks(volume),
        Kind::Lvm2Pv => lvm2::pv_uuid(volume).map(|uuid| Identity { label: None, uuid: Some(uuid) }),
        Kind::LinuxRaid => kind::raid_identity(volume),
        Kind::Ntfs => ntfs::identity(volume),
        Kind::Fat => kind::fat_identity(volume),
        Kind::Exfat => kind::exfat_identity(volume),
        Kind::Other(name) => kind::other_identity(volume, name),
        Kind::Empty | Kind::Unknown => None,
    };
    found.unwrap_or_default()
}

/// The first version of swap has no such fields.
fn is_swap_version_1(volume: &dyn ReadAt) -> bool {
    read(volume, 1024, 4, "").is_ok_and(|version| matches!(version.as_slice(), [1, 0, 0, 0] | [0, 0, 0, 1]))
}

/// LUKS writes its UUID as text; only version 2 has a label ("LUKS2 On-Disk Format Specification", 2.1).
fn luks(volume: &dyn ReadAt) -> Option<Identity> {
    let head = read(volume, 0, 512, "").ok()?;
    let label = head.get(24..72).filter(|_| head.get(6..8) == Some(&[0, 2])).and_then(text);
    Some(Identity { label, uuid: head.get(168..208).and_then(text) })
}

/// Text up to the first zero, without the blanks that fill it up, escaped for a terminal; nothing where there is none.
pub(crate) fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    shown(&String::from_utf8_lossy(bytes.get(..end)?))
}

/// The same of UTF-16, little-endian.
pub(crate) fn utf16(bytes: &[u8]) -> Option<String> {
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    shown(&String::from_utf16_lossy(&units))
}

fn shown(text: &str) -> Option<String> {
    let text = text.trim_end_matches(' ');
    (!text.is_empty()).then(|| text.escape_debug().collect())
}

/// The UUID of 16 bytes at `at`, as most write it; nothing where it is all zeros.
pub(crate) fn dce(bytes: &[u8], at: usize) -> Option<String> {
    let uuid = Uuid::from_slice(bytes.get(at..at + 16)?).ok().filter(|uuid| !uuid.is_nil())?;
    Some(uuid.to_string())
}

/// The serial number of a FAT volume.
pub(crate) fn serial(number: u32) -> String {
    format!("{:04X}-{:04X}", number >> 16, number & 0xffff)
}

/// Four numbers as one UUID: a Linux software RAID of version 0.90, in the byte order of its machine.
pub(crate) fn of_words(bytes: &[u8], at: [usize; 4], is_little_endian: bool) -> String {
    let word = |at| if is_little_endian { le32(bytes, at) } else { be32(bytes, at) };
    let bytes: Vec<u8> = at.into_iter().flat_map(|at| word(at).to_be_bytes()).collect();
    Uuid::from_slice(&bytes).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_ends_at_a_zero_without_its_blanks_and_cannot_steer_a_terminal() {
        assert_eq!(text(b"root\0xyz"), Some("root".into()));
        assert_eq!(text(b"MY DISK    "), Some("MY DISK".into()));
        assert_eq!(text(b"a\x1b[2J"), Some("a\\u{1b}[2J".into()));
        assert_eq!((text(b"\0\0"), text(b"   "), text(b"")), (None, None, None));
        assert_eq!(utf16(b"D\0\xe4\0\0\0x\0"), Some("D\u{e4}".into()));
    }

    #[test]
    fn a_uuid_of_zeros_is_none() {
        assert_eq!(dce(&[0; 16], 0), None);
        assert_eq!(dce(&[7; 15], 0), None);
        assert_eq!(dce(&[0x12; 16], 0), Some("12121212-1212-1212-1212-121212121212".into()));
    }
}
