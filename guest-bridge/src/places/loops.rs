//! Filesystems in files of other filesystems (loop devices), and whether a freeze comes to the file's filesystem first.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{DeviceNumber, Mount, PlacesError, mountinfo::Line};

/// A filesystem in a file of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopMount {
    /// Where it is mounted.
    pub mountpoint: String,
    /// Nothing can be written to it.
    pub read_only: bool,
    /// The file, as the kernel names it; `None` where it does not tell.
    pub file: Option<PathBuf>,
    /// Where the filesystem of the file is mounted later than this one, as a bind mount is; `None` where it is not, or that is not known. An
    /// agent that freezes all mounts, the last first, freezes that filesystem first, and then waits for ever for what it still has to write
    /// to the file.
    pub deadlocks_by: Option<String>,
}

/// `7:0 PATH` of each loop device, as sysfs has its number and its file.
pub(super) fn files(lines: &[Vec<u8>]) -> Result<BTreeMap<DeviceNumber, PathBuf>, PlacesError> {
    let read = |line: &Vec<u8>| {
        let at = line.iter().position(|byte| *byte == b' ')?;
        let device = std::str::from_utf8(&line[..at]).ok()?.parse().ok()?;
        Some((device, PathBuf::from(OsStr::from_bytes(&line[at + 1..]))))
    };
    lines.iter().map(|line| read(line).ok_or_else(|| PlacesError::line("this is no loop device", line))).collect()
}

/// Those among `mounts`.
pub(super) fn loops(table: &[Line], mounts: &[Mount], files: &BTreeMap<DeviceNumber, PathBuf>) -> Vec<LoopMount> {
    let of = |mount: &Mount| {
        let file = files.get(&mount.device);
        LoopMount {
            mountpoint: mount.mountpoint.clone(),
            read_only: mount.read_only,
            file: file.cloned(),
            deadlocks_by: file.filter(|_| !mount.read_only).and_then(|file| later_mount(table, mount.device, file)),
        }
    };
    mounts.iter().filter(|mount| mount.is_loop()).map(of).collect()
}

/// Where the filesystem that `file` is on is mounted behind the last mount of `device`.
fn later_mount(table: &[Line], device: DeviceNumber, file: &Path) -> Option<String> {
    // Of several at one place the last hides the others.
    let above = table.iter().filter(|line| file.starts_with(&line.mountpoint));
    let holder = above.max_by_key(|line| line.mountpoint.components().count()).filter(|line| line.is_on_a_device())?;
    let last = |device: DeviceNumber| table.iter().rposition(|line| line.device == device);
    let (of_file, of_loop) = (last(holder.device)?, last(device)?);
    (of_file > of_loop).then(|| table[of_file].mountpoint.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::mountinfo::{Uuids, mounts};

    /// What is told of the one loop mount, whose file is `/srv/tmp.img`.
    fn told(text: &str) -> LoopMount {
        let table: Vec<Line> = text.lines().map(|line| Line::parse(line.as_bytes()).unwrap()).collect();
        let mounts = mounts(&table, &Uuids::default()).unwrap();
        let files = files(&[b"7:0 /srv/tmp.img".to_vec()]).unwrap();
        let [told] = &loops(&table, &mounts, &files)[..] else { panic!("not one") };
        told.clone()
    }

    const ROOT: &str = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n";
    const SRV: &str = "2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n";
    const TMP: &str = "3 1 7:0 / /tmp rw - ext4 /dev/loop0 rw\n";

    #[test]
    fn a_loop_mount_that_came_last_is_frozen_before_what_it_lies_in() {
        let told = told(&format!("{ROOT}{SRV}{TMP}"));
        assert_eq!((told.mountpoint.as_str(), told.file.as_deref()), ("/tmp", Some(Path::new("/srv/tmp.img"))));
        assert_eq!(told.deadlocks_by, None);
    }

    #[test]
    fn one_whose_files_filesystem_is_mounted_again_later_deadlocks() {
        let bind = "4 1 8:2 /jail /jail rw - ext4 /dev/sda2 rw\n";
        assert_eq!(told(&format!("{ROOT}{SRV}{TMP}{bind}")).deadlocks_by.as_deref(), Some("/jail"));
        let of_another = "4 1 8:1 /jail /jail rw - ext4 /dev/sda1 rw\n";
        assert_eq!(told(&format!("{ROOT}{SRV}{TMP}{of_another}")).deadlocks_by, None);
    }

    #[test]
    fn a_bind_mount_of_the_loop_mount_itself_puts_it_first_again() {
        let (bind, of_loop) =
            ("4 1 8:2 /jail /jail rw - ext4 /dev/sda2 rw\n", "5 1 7:0 / /var/tmp rw - ext4 /dev/loop0 rw\n");
        assert_eq!(told(&format!("{ROOT}{SRV}{TMP}{bind}{of_loop}")).deadlocks_by, None);
    }

    #[test]
    fn one_that_is_read_only_has_nothing_to_write_and_does_not_deadlock() {
        let read_only = "3 1 7:0 / /tmp ro - ext4 /dev/loop0 ro\n";
        let bind = "4 1 8:2 /jail /jail rw - ext4 /dev/sda2 rw\n";
        assert_eq!(told(&format!("{ROOT}{SRV}{read_only}{bind}")).deadlocks_by, None);
    }

    #[test]
    fn of_one_whose_file_is_not_told_no_order_is_claimed() {
        let partition = "3 1 259:1 / /tmp rw - ext4 /dev/loop0p1 rw\n";
        let told = told(&format!("{ROOT}{SRV}{partition}"));
        assert_eq!((told.file, told.deadlocks_by), (None, None));
    }

    #[test]
    fn a_line_that_is_no_loop_device_is_an_error() {
        for odd in ["", "7:0", "x /srv"] {
            assert!(matches!(files(&[odd.as_bytes().to_vec()]), Err(PlacesError::Unexpected { .. })), "{odd:?}");
        }
    }
}
