//! The commands that an admin would otherwise work out by hand.

use crate::map::Place;
use crate::{Extent, Kind, Volume};

/// A volume of more runs than this has no hint: nobody pastes such a table.
const MAX_RUNS: usize = 256;
/// `DM_NAME_LEN` of `linux/dm-ioctl.h` is 128, the final zero included.
const MAX_DM_NAME: usize = 127;

/// How to look into a volume without writing to its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountHint {
    /// Lines for `bash`, to be run in order as root.
    pub commands: Vec<String>,
    /// What would write, or mislead, and why these lines do not.
    pub warning: &'static str,
}

/// The exact read-only commands that open `volume` of the disk, image or logical volume `target`; `None` for an empty
/// volume and for one that is not all on its disk.
///
/// Pure text: nothing is run. `target` is a path as the kernel takes it, and is quoted for the shell.
#[must_use]
pub fn mount_hint(target: &[u8], volume: &Volume) -> Option<MountHint> {
    let target = shell_path(target);
    let (options, warning) = mount_options(volume.kind)?;
    if let Some(Extent { offset_bytes, size_bytes }) = volume.contiguous() {
        let command = match options {
            Some(options) => {
                format!("mount -o {options},loop,offset={offset_bytes},sizelimit={size_bytes} {target} /mnt")
            }
            None => {
                format!("losetup --read-only --find --show --offset {offset_bytes} --sizelimit {size_bytes} {target}")
            }
        };
        return Some(MountHint { commands: vec![command], warning });
    }
    let table = dm_table(volume)?;
    let mut name = format!("stillpoint-{}", volume.path.replace('/', "-"));
    name.truncate(MAX_DM_NAME);
    let mut commands = vec![
        format!("loop=$(losetup --read-only --find --show {target})"),
        format!("dmsetup create --readonly {name} <<TABLE\n{table}TABLE"),
    ];
    commands.extend(options.map(|options| format!("mount -o {options} /dev/mapper/{name} /mnt")));
    Some(MountHint { commands, warning })
}

/// Options of a mount, or none where a read-only device is all that helps; and what to look out for.
fn mount_options(kind: Kind) -> Option<(Option<&'static str>, &'static str)> {
    Some(match kind {
        Kind::Ext3 | Kind::Ext4 => (
            Some("ro,noload"),
            "`ro` alone replays the journal and so writes; with `noload` what is only in the journal is not seen. Orphans \
             are released even with `ro,noload` where the device is writable: keep it behind this read-only loop device",
        ),
        Kind::Ext2 => (Some("ro"), "the loop device is read-only; on a writable one the kernel would release orphans"),
        Kind::ExtJournal => (None, "it is the journal of a filesystem that is mounted from another device"),
        Kind::Xfs => (
            Some("ro,norecovery,nouuid"),
            "`ro` alone replays the log and so writes; with `norecovery` what is only in the log is not seen",
        ),
        Kind::Ntfs | Kind::Fat | Kind::Exfat => (Some("ro"), "the loop device is read-only: nothing is written"),
        Kind::Btrfs => (
            Some("ro,rescue=nologreplay"),
            "`ro` alone replays the log and so writes; never have a copy of a mounted Btrfs visible: its UUID is the same",
        ),
        Kind::Luks => (None, "then `cryptsetup open --readonly` on the loop device that is printed"),
        Kind::Lvm2Pv => (
            None,
            "its logical volumes have lines of their own; activating the group writes to it, and clashes with one of the \
             same name on this host",
        ),
        Kind::LinuxRaid => (None, "`mdadm --assemble` without `--readonly` writes to its members"),
        Kind::Swap => (None, "it is no filesystem; `swapon` would write to it"),
        Kind::Other(_) => {
            (None, "it is known by its signature only; whatever opens it may write where the device lets it")
        }
        Kind::Unknown => (None, "what it holds is not known; whatever mounts it may write where the device lets it"),
        Kind::Empty => return None,
    })
}

/// The volume as a device-mapper table over the loop device, in sectors of 512 bytes.
fn dm_table(volume: &Volume) -> Option<String> {
    let mut table = String::new();
    for (count, (run, place)) in volume.map.segments().enumerate() {
        if count >= MAX_RUNS {
            return None;
        }
        let (start, length) = (run.offset_bytes / 512, run.size_bytes / 512);
        table += &match place {
            Place::Elsewhere => return None,
            Place::Linear(offset) => format!("{start} {length} linear $loop {}\n", offset / 512),
            Place::Striped { stripe_size_bytes, areas } => {
                let places: Vec<_> = areas.iter().map(|offset| format!("$loop {}", offset / 512)).collect();
                format!("{start} {length} striped {} {} {}\n", areas.len(), stripe_size_bytes / 512, places.join(" "))
            }
        };
    }
    (!table.is_empty()).then_some(table)
}

/// A path as one word for `bash`, byte for byte, which no program takes for an option or for a tag such as `LABEL=root`.
#[must_use]
pub fn shell_path(path: &[u8]) -> String {
    let prefix: &[u8] = if path.starts_with(b"/") { b"" } else { b"./" };
    let path = [prefix, path].concat();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+:@%".contains(byte);
    let seen = |c: char| c == ' ' || c.is_alphanumeric() || c.is_ascii_graphic();
    match std::str::from_utf8(&path) {
        Ok(text) if path.iter().all(plain) => text.into(),
        Ok(text) if text.chars().all(seen) => format!("'{}'", text.replace('\'', r"'\''")),
        // No text, or text that a terminal would not show as it is.
        _ => {
            let escaped = path.iter().map(|byte| match byte {
                byte if plain(byte) => char::from(*byte).to_string(),
                byte => format!(r"\x{byte:02x}"),
            });
            format!("$'{}'", escaped.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Map;

    fn volume(kind: Kind, map: Map) -> Volume {
        Volume { kind, ..Volume::new("2/vg/root".into(), map) }
    }

    #[test]
    fn a_partition_is_mounted_by_its_offset_and_size() {
        let ext4 = volume(Kind::Ext4, Map::linear(Extent::new(1_048_576, 4096)));
        let hint = mount_hint(b"/dev/vg/vm 1's", &ext4).unwrap();
        let line = r"mount -o ro,noload,loop,offset=1048576,sizelimit=4096 '/dev/vg/vm 1'\''s' /mnt";
        assert_eq!(hint.commands, [line]);
    }

    #[test]
    fn a_volume_in_pieces_is_put_together_by_device_mapper() {
        let mut map = Map::default();
        map.push(4096, Place::Linear(8192));
        map.push(8192, Place::Striped { stripe_size_bytes: 4096, areas: vec![0, 65536] });
        let hint = mount_hint(b"/img", &volume(Kind::Xfs, map)).unwrap();
        assert_eq!(
            hint.commands,
            [
                "loop=$(losetup --read-only --find --show /img)",
                "dmsetup create --readonly stillpoint-2-vg-root <<TABLE\n0 8 linear $loop 16\n8 16 striped 2 8 $loop 0 \
                 $loop 128\nTABLE",
                "mount -o ro,norecovery,nouuid /dev/mapper/stillpoint-2-vg-root /mnt",
            ]
        );
    }

    #[test]
    fn what_is_no_filesystem_is_opened_read_only() {
        for kind in [Kind::Swap, Kind::Luks, Kind::Lvm2Pv, Kind::LinuxRaid, Kind::Unknown] {
            let hint = mount_hint(b"/img", &volume(kind, Map::linear(Extent::new(512, 4096)))).unwrap();
            let line = "losetup --read-only --find --show --offset 512 --sizelimit 4096 /img";
            assert_eq!(hint.commands, [line], "{kind}");
        }
    }

    #[test]
    fn what_is_empty_or_elsewhere_has_no_line() {
        assert_eq!(mount_hint(b"/img", &volume(Kind::Empty, Map::linear(Extent::new(0, 4096)))), None);
        let mut map = Map::default();
        map.push(4096, Place::Elsewhere);
        assert_eq!(mount_hint(b"/img", &volume(Kind::Unknown, map)), None);
    }

    #[test]
    fn no_name_of_a_target_is_more_than_one_word() {
        for (path, word) in [
            (&b"/dev/vg/lv"[..], "/dev/vg/lv"),
            (b"disk.img", "./disk.img"),
            (b"-o", "./-o"),
            (b"LABEL=root", "'./LABEL=root'"),
            (b"/a b", "'/a b'"),
            (b"/$(reboot);`id`'", r"'/$(reboot);`id`'\'''"),
            ("/größe".as_bytes(), "'/größe'"),
            (b"/a\nb'\\", r"$'/a\x0ab\x27\x5c'"),
            (b"/\x1b[2J", r"$'/\x1b\x5b2J'"),
            (b"/\xff", r"$'/\xff'"),
            ("/\u{202e}gpj".as_bytes(), r"$'/\xe2\x80\xaegpj'"),
        ] {
            assert_eq!(shell_path(path), word);
        }
    }
}
