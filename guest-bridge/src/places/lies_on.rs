//! What a path lies on, by what the script says of it.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{DeviceNumber, On, Place, PlacesError, mountinfo::Line};
use crate::agent::guest_text;

/// What the script says of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    At { device: DeviceNumber, inode: u64, is_folder: bool, real: PathBuf },
    Not(String),
}

impl Told {
    /// `at ST_DEV INODE KIND REAL_PATH` or `not WHY`.
    pub(super) fn read(line: Option<&[u8]>) -> Result<Self, PlacesError> {
        let line =
            line.ok_or_else(|| PlacesError::Unexpected { detail: "it does not tell of every path".to_owned() })?;
        if let Some(why) = line.strip_prefix(b"not ") {
            return Ok(Self::Not(guest_text(&String::from_utf8_lossy(why))));
        }
        let read = || {
            let mut words = line.strip_prefix(b"at ")?.splitn(4, |byte| *byte == b' ');
            let mut number = || std::str::from_utf8(words.next()?).ok()?.parse::<u64>().ok();
            let (device, inode) = (DeviceNumber::of_stat(number()?), number()?);
            let is_folder = match words.next()? {
                b"d" => true,
                b"-" => false,
                _ => return None,
            };
            let real = PathBuf::from(OsStr::from_bytes(words.next()?));
            real.is_absolute().then_some(Self::At { device, inode, is_folder, real })
        };
        read().ok_or_else(|| PlacesError::line("this is nothing of a path", line))
    }

    /// `link PATH`, and behind it what that is; `more` where not all was looked at. Whether there are more.
    pub(super) fn read_links<'l>(
        lines: &mut impl Iterator<Item = &'l [u8]>,
    ) -> Result<(Vec<(PathBuf, Self)>, bool), PlacesError> {
        let (mut links, mut more) = (Vec::new(), false);
        while let Some(line) = lines.next() {
            match line.strip_prefix(b"link /") {
                Some(path) => {
                    let path = Path::new("/").join(OsStr::from_bytes(path));
                    match lines.next() {
                        // The script's end of the list may be between the two.
                        None => more = true,
                        told => links.push((path, Self::read(told)?)),
                    }
                }
                None if line == b"more" => more = true,
                None => return Err(PlacesError::line("this is no link", line)),
            }
        }
        Ok((links, more))
    }

    /// The path with what it lies on.
    pub(super) fn place(&self, path: &Path, table: &[Line]) -> Place {
        let on = match self {
            Self::Not(why) => Err(why.clone()),
            Self::At { device, real, .. } => mount_of(*device, real, table).map(on),
        };
        Place { path: path.to_owned(), on }
    }

    /// The device and inode of what is there.
    pub(super) fn at(&self, table: &[Line]) -> Option<(DeviceNumber, u64)> {
        match self {
            Self::At { device, inode, real, .. } => Some((mount_of(*device, real, table).ok()?.device, *inode)),
            Self::Not(_) => None,
        }
    }

    /// What is mounted beneath it, where it is a folder.
    pub(super) fn mountpoints_beneath<'t>(&self, table: &'t [Line]) -> impl Iterator<Item = Place> + use<'t> {
        let folder = match self {
            Self::At { is_folder: true, real, .. } => Some(real.clone()),
            _ => None,
        };
        let is_beneath = move |line: &&Line| {
            folder.as_ref().is_some_and(|folder| line.mountpoint.starts_with(folder) && line.mountpoint != *folder)
        };
        table.iter().filter(is_beneath).map(|line| Place { path: line.mountpoint.clone(), on: Ok(on(line)) })
    }
}

fn on(line: &Line) -> On {
    let mountpoint = line.mountpoint.to_string_lossy().into_owned();
    On { device: line.device, mountpoint, fs_type: line.fs_type.clone() }
}

/// The mount that the path `real` lies on, whose device stat(1) calls `device`. The deepest one above it whose device that is: a deeper one
/// of another device is hidden. A filesystem without a device may give each of its parts a number of its own (btrfs, overlay).
fn mount_of<'t>(device: DeviceNumber, real: &Path, table: &'t [Line]) -> Result<&'t Line, String> {
    let deepest = |fits: &dyn Fn(&Line) -> bool| {
        let above = table.iter().filter(|line| real.starts_with(&line.mountpoint) && fits(line));
        // Of several at one place the last hides the others.
        above.max_by_key(|line| line.mountpoint.components().count())
    };
    deepest(&|line| line.device == device)
        .or_else(|| deepest(&|_| true).filter(|line| line.device.major == 0))
        .ok_or_else(|| format!("it lies on device {device}, and no mount above it is of that"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Line> {
        let text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /srv/data rw - xfs /dev/sdb rw\n\
                    3 1 8:3 / /srv rw - ext4 /dev/sdc rw\n4 1 0:30 /@ /b rw - btrfs /dev/sdd rw\n\
                    5 1 0:40 / /t rw - tmpfs tmpfs rw\n6 5 8:4 / /t rw - ext4 /dev/sde rw";
        text.lines().map(|line| Line::parse(line.as_bytes()).unwrap()).collect()
    }

    fn found(major: u32, minor: u32, real: &str) -> Result<String, String> {
        mount_of(DeviceNumber { major, minor }, Path::new(real), &table())
            .map(|line| line.mountpoint.display().to_string())
    }

    #[test]
    fn a_path_lies_on_the_deepest_mount_of_its_device() {
        assert_eq!(found(8, 2, "/srv/data/x").unwrap(), "/srv/data");
        assert_eq!(found(8, 3, "/srv/data/x").unwrap(), "/srv", "what is hidden has another device");
        assert_eq!(found(8, 1, "/srvx").unwrap(), "/");
        assert_eq!(found(0, 40, "/t/x").unwrap(), "/t");
    }

    #[test]
    fn a_part_of_a_filesystem_without_a_device_of_its_own_lies_on_that() {
        assert_eq!(found(0, 77, "/b/sub/x").unwrap(), "/b");
        assert!(found(0, 77, "/srv/x").unwrap_err().contains("0:77"));
        assert!(found(9, 9, "/srv/x").unwrap_err().contains("9:9"));
    }

    #[test]
    fn what_is_mounted_beneath_a_folder_is_told() {
        let beneath = |is_folder, real: &str| -> Vec<PathBuf> {
            let told = Told::At { device: DeviceNumber { major: 8, minor: 1 }, inode: 2, is_folder, real: real.into() };
            told.mountpoints_beneath(&table()).map(|place| place.path).collect()
        };
        assert_eq!(beneath(true, "/srv"), [Path::new("/srv/data")]);
        assert_eq!(beneath(false, "/srv"), [] as [PathBuf; 0]);
        assert_eq!(beneath(true, "/sr"), [] as [PathBuf; 0]);
    }

    #[test]
    fn what_is_said_of_a_path_is_read_or_an_error() {
        let read = |line: &str| Told::read(Some(line.as_bytes()));
        assert_eq!(read("not No such file\u{7}").unwrap(), Told::Not("No such file\\u{7}".to_owned()));
        let device = DeviceNumber { major: 254, minor: 0 };
        let at = Told::At { device, inode: 7, is_folder: true, real: "/a b".into() };
        assert_eq!(read("at 65024 7 d /a b").unwrap(), at);
        for odd in ["", "at", "at 1 2 d", "at 1 2 d x", "at 1 x d /x", "at 1 2 x /x", "more"] {
            assert!(matches!(read(odd), Err(PlacesError::Unexpected { .. })), "{odd}");
        }
        assert!(matches!(Told::read(None), Err(PlacesError::Unexpected { .. })));
    }

    #[test]
    fn a_list_of_links_that_was_cut_has_more() {
        let read = |text: &str| Told::read_links(&mut text.lines().map(str::as_bytes));
        let told = Told::Not("gone".to_owned());
        assert_eq!(read("").unwrap(), (vec![], false));
        assert_eq!(read("link /a\nnot gone").unwrap(), (vec![("/a".into(), told.clone())], false));
        assert_eq!(read("more\nlink /a\nnot gone\nlink /b").unwrap(), (vec![("/a".into(), told)], true));
        for odd in ["/a", "link a\nnot gone", "link /a\nlink /b"] {
            assert!(matches!(read(odd), Err(PlacesError::Unexpected { .. })), "{odd}");
        }
    }
}
