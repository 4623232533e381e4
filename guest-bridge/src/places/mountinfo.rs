//! The kernel's table of mounts, as proc_pid_mountinfo(5) specifies it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{DeviceNumber, Mount, PlacesError};

/// How many mounts are looked through for each path: a guest with thousands of containers has room.
const MAX_LINES: usize = 10_000;

/// How many filesystems on block devices a guest may have.
const MAX_MOUNTS: usize = 1000;

/// Filesystems that have a device number of nobody's, and lie on a device all the same.
const ON_A_DEVICE_OF_ANOTHER_NUMBER: &str = "btrfs";

/// Filesystems on the devices of a pool, whose mounts name the pool.
const ON_UNTOLD_DEVICES: [&str; 2] = ["bcachefs", "zfs"];

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) device: DeviceNumber,
    /// Which part of the filesystem is mounted; `/` where it is all.
    root: Vec<u8>,
    pub(super) mountpoint: PathBuf,
    pub(super) fs_type: String,
    pub(super) source: String,
    read_only: bool,
    synchronous: bool,
}

impl Line {
    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
    pub(super) fn parse(line: &[u8]) -> Result<Self, PlacesError> {
        let text = |field: Vec<u8>| String::from_utf8_lossy(&field).into_owned();
        let read = || {
            let mut fields = line.split(|byte| *byte == b' ');
            let device = std::str::from_utf8(fields.nth(2)?).ok()?.parse().ok()?;
            let (root, mountpoint) = (unescape(fields.next()?), unescape(fields.next()?));
            let options = fields.next()?;
            fields.find(|field| *field == b"-")?;
            let (fs_type, source) = (unescape(fields.next()?), unescape(fields.next()?));
            let of_the_filesystem = fields.next()?;
            let has = |option: &[u8]| {
                [options, of_the_filesystem].iter().any(|all| all.split(|byte| *byte == b',').any(|one| one == option))
            };
            let (read_only, synchronous) = (has(b"ro"), has(b"sync") || has(b"dirsync"));
            let mountpoint = PathBuf::from(OsStr::from_bytes(&mountpoint));
            Some(Self {
                device,
                root,
                mountpoint,
                fs_type: text(fs_type),
                source: text(source),
                read_only,
                synchronous,
            })
        };
        read().ok_or_else(|| PlacesError::line("this is no mount", line))
    }

    pub(super) fn is_on_a_device(&self) -> bool {
        self.device.major != 0 || self.fs_type == ON_A_DEVICE_OF_ANOTHER_NUMBER && self.source.starts_with("/dev/")
    }
}

/// The whole table.
pub(super) fn table(lines: &[Vec<u8>]) -> Result<Vec<Line>, PlacesError> {
    if lines.len() > MAX_LINES {
        return Err(PlacesError::Unexpected { detail: format!("it names {} mounts", lines.len()) });
    }
    lines.iter().map(|line| Line::parse(line)).collect()
}

/// The types of filesystems that can be written to and lie on devices that the table does not tell.
pub(super) fn on_untold_devices(lines: &[Line]) -> Vec<String> {
    let is_one =
        |line: &&Line| line.device.major == 0 && !line.read_only && ON_UNTOLD_DEVICES.contains(&line.fs_type.as_str());
    lines.iter().filter(is_one).map(|line| line.fs_type.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Undoes `\040` and its like.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let octal = behind.get(..3).filter(|_| *first == b'\\');
        let octal = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match octal {
            Some(byte) => {
                plain.push(byte);
                rest = &rest[4..];
            }
            None => {
                plain.push(*first);
                rest = behind;
            }
        }
    }
    plain
}

/// The filesystems on block devices. Of the mounts of one, the one that shows it whole and may be written to.
pub(super) fn mounts(lines: &[Line], uuids: &Uuids) -> Result<Vec<Mount>, PlacesError> {
    let mut best: BTreeMap<DeviceNumber, (usize, &Line)> = BTreeMap::new();
    // What is mounted later at the same place hides what was there.
    let last_at: BTreeMap<&Path, usize> =
        lines.iter().enumerate().map(|(number, line)| (line.mountpoint.as_path(), number)).collect();
    let rank = |number: usize, line: &Line| {
        (last_at.get(line.mountpoint.as_path()) == Some(&number), !line.read_only, line.root == b"/")
    };
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.is_on_a_device()) {
        let known = best.entry(line.device).or_insert((number, line));
        if rank(number, line) > rank(known.0, known.1) {
            *known = (number, line);
        }
    }
    if best.len() > MAX_MOUNTS {
        return Err(PlacesError::Unexpected { detail: format!("it names {} filesystems", best.len()) });
    }
    let mount = |(device, (_, line)): (DeviceNumber, (usize, &Line))| Mount {
        device,
        mountpoint: line.mountpoint.to_string_lossy().into_owned(),
        fs_type: line.fs_type.clone(),
        source: line.source.clone(),
        read_only: line.read_only,
        synchronous: line.synchronous,
        uuid: uuids.of(device, &line.source),
    };
    Ok(best.into_iter().map(mount).collect())
}

/// What links in `/dev/disk/by-uuid` lead to.
#[derive(Debug, Default)]
pub(super) struct Uuids {
    of_devices: BTreeMap<DeviceNumber, String>,
    /// The numbers of devices that are named by their path.
    numbers: BTreeMap<String, DeviceNumber>,
}

impl Uuids {
    /// From lines `fe 1 PATH`: major and minor in hexadecimal, as stat(1) has them. A path in `folder` is a link whose name is a UUID.
    pub(super) fn parse(lines: &[Vec<u8>], folder: &Path) -> Result<Self, PlacesError> {
        let mut read = Self::default();
        for line in lines {
            let text = String::from_utf8_lossy(line);
            let mut words = text.splitn(3, ' ');
            let mut number = || u32::from_str_radix(words.next()?, 16).ok();
            let (major, minor) = (number(), number());
            let (Some(major), Some(minor), Some(path)) = (major, minor, words.next()) else {
                return Err(PlacesError::line("this is no device", line));
            };
            let number = DeviceNumber { major, minor };
            match Path::new(path).strip_prefix(folder) {
                Ok(name) => {
                    read.of_devices.insert(number, name.display().to_string());
                }
                Err(_) => {
                    read.numbers.insert(path.to_owned(), number);
                }
            }
        }
        Ok(read)
    }

    fn of(&self, device: DeviceNumber, source: &str) -> Option<String> {
        let device = if device.major == 0 { *self.numbers.get(source)? } else { device };
        self.of_devices.get(&device).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        text.lines().map(|line| Line::parse(line.as_bytes()).unwrap()).collect()
    }

    fn mounted(text: &str) -> Vec<String> {
        let mounts = mounts(&lines(text), &Uuids::default()).unwrap();
        mounts.iter().map(|mount| format!("{} {}", mount.device, mount.mountpoint)).collect()
    }

    #[test]
    fn a_mount_is_read_with_its_escapes_undone() {
        let line =
            Line::parse(br"36 35 98:0 / /mnt\0402\134x rw master:1 shared:2 - ext3 /dev/ro\011ot rw,errors=x").unwrap();
        assert_eq!(line.mountpoint, Path::new("/mnt 2\\x"));
        assert_eq!((line.fs_type.as_str(), line.source.as_str(), line.read_only), ("ext3", "/dev/ro\tot", false));
        assert_eq!(unescape(br"a\9\04"), br"a\9\04");
    }

    #[test]
    fn a_line_that_is_no_mount_is_an_error() {
        for odd in
            ["", "36 35 98:0 / /mnt rw - ext3", "36 35 980 / /mnt rw - ext3 /dev/x rw", "36 35 1:1 / /mnt rw ext3 x rw"]
        {
            assert!(matches!(Line::parse(odd.as_bytes()), Err(PlacesError::Unexpected { .. })), "{odd}");
        }
    }

    #[test]
    fn the_filesystem_is_read_only_where_the_mount_or_the_device_is() {
        let read_only = |text: &str| lines(text)[0].read_only;
        assert!(read_only("1 0 8:1 / / ro,noatime - ext4 /dev/sda1 rw"));
        assert!(read_only("1 0 8:1 / / rw - ext4 /dev/sda1 ro,errors=continue"));
        assert!(!read_only("1 0 8:1 / / rw - ext4 /dev/sda1 rw,errors=remount-ro"));
    }

    #[test]
    fn the_filesystem_is_written_at_once_where_the_mount_says_so() {
        let synchronous = |text: &str| lines(text)[0].synchronous;
        assert!(synchronous("1 0 8:1 / / rw,noatime - ext2 /dev/sda1 rw,sync"));
        assert!(synchronous("1 0 8:1 / / rw - ext2 /dev/sda1 rw,dirsync"));
        assert!(!synchronous("1 0 8:1 / / rw - ext2 /dev/sda1 rw,async"));
    }

    #[test]
    fn one_mount_of_each_device_is_taken_whole_and_writable_where_there_is_one() {
        let text = "1 0 8:1 /sub /bind rw - ext4 /dev/sda1 rw\n2 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                    3 2 8:2 / /ro ro - ext4 /dev/sdb rw\n4 2 8:2 /sub /rw rw - ext4 /dev/sdb rw";
        assert_eq!(mounted(text), ["8:1 /", "8:2 /rw"]);
    }

    #[test]
    fn a_mount_that_another_hides_is_not_taken_where_there_is_another() {
        let text = "1 0 8:1 / /srv rw - ext4 /dev/sda1 rw\n2 1 8:2 / /srv rw - ext4 /dev/sdb rw\n\
                    3 2 8:1 /sub /seen rw - ext4 /dev/sda1 rw";
        assert_eq!(mounted(text), ["8:1 /seen", "8:2 /srv"]);
    }

    #[test]
    fn what_lies_on_no_device_is_no_mount_and_btrfs_lies_on_one() {
        let text = "1 0 0:20 / /tmp rw - tmpfs tmpfs rw\n2 1 0:30 /@ / rw - btrfs /dev/sda2 rw\n\
                    3 1 0:31 / /nfs rw - nfs4 host:/x rw";
        assert_eq!(mounted(text), ["0:30 /"]);
    }

    #[test]
    fn a_uuid_is_found_by_the_device_that_its_link_leads_to() {
        let told = ["fe 1 /dev/disk/by-uuid/aaaa", "8 2 /dev/disk/by-uuid/bbbb", "8 2 /dev/sda2"];
        let told: Vec<_> = told.iter().map(|line| line.as_bytes().to_vec()).collect();
        let uuids = Uuids::parse(&told, Path::new("/dev/disk/by-uuid")).unwrap();
        let text = "1 0 254:1 / / rw - ext4 /dev/vda1 rw\n2 1 0:30 /@ /b rw - btrfs /dev/sda2 rw\n\
                    3 1 254:2 / /c rw - ext4 /dev/vda2 rw";
        let mut found: Vec<_> = mounts(&lines(text), &uuids).unwrap().into_iter().map(|mount| mount.uuid).collect();
        found.sort();
        assert_eq!(found, [None, Some("aaaa".to_owned()), Some("bbbb".to_owned())]);
        Uuids::parse(&[b"zz 1 /x".to_vec()], Path::new("/")).unwrap_err();
    }

    #[test]
    fn what_lies_in_a_pool_is_told_by_its_type() {
        let text = "1 0 0:20 / / rw - zfs rpool/ROOT rw\n2 1 0:21 / /home rw - zfs rpool/home rw\n\
                    3 1 0:22 / /old ro - bcachefs /dev/a:/dev/b ro\n4 1 0:23 / /tmp rw - tmpfs tmpfs rw";
        assert_eq!(on_untold_devices(&lines(text)), ["zfs"]);
    }

    #[test]
    fn more_mounts_than_can_be_looked_through_are_an_error() {
        let line = b"1 0 0:20 / /x rw - tmpfs tmpfs rw".to_vec();
        table(&vec![line.clone(); MAX_LINES]).unwrap();
        assert!(matches!(table(&vec![line; MAX_LINES + 1]), Err(PlacesError::Unexpected { .. })));
    }

    #[test]
    fn more_filesystems_than_a_guest_has_are_an_error() {
        let text: String = (0..1001).map(|minor| format!("1 0 8:{minor} / /{minor} rw - ext4 x rw\n")).collect();
        assert!(matches!(mounts(&lines(&text), &Uuids::default()), Err(PlacesError::Unexpected { .. })));
    }
}
