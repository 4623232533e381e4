//! A filesystem of the guest.

use super::DeviceNumber;

/// What is written to as a file is: others are read-only by nature, or keep no inodes, or no mode.
const TAKE_MARKERS: [&str; 9] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "reiserfs", "nilfs2"];

/// LOOP_MAJOR of Linux.
const LOOP_MAJOR: u32 = 7;

/// A filesystem on a block device, with one of the places where it is mounted: where there are several, one where it is whole and may
/// be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its device. Of btrfs the number that the kernel's table of mounts has, with major 0.
    pub device: DeviceNumber,
    /// Where it is mounted.
    pub mountpoint: String,
    /// Its type, as the kernel calls it.
    pub fs_type: String,
    /// What it was mounted from, such as `/dev/vda1`.
    pub source: String,
    /// Nothing can be written to it here.
    pub read_only: bool,
    /// What is written to it is on its disk at once: it is mounted with `sync` or `dirsync`.
    pub synchronous: bool,
    /// Its UUID, as udev knows it; no disk is read for it.
    pub uuid: Option<String>,
}

impl Mount {
    /// Whether it lies in a file of another filesystem.
    #[must_use]
    pub fn is_loop(&self) -> bool {
        // A partition of a loop device has a number of its own.
        self.device.major == LOOP_MAJOR || self.source.starts_with("/dev/loop")
    }

    /// Whether a marker can be written to it.
    #[must_use]
    pub fn takes_marker(&self) -> bool {
        !self.read_only && self.may_hold_marker()
    }

    /// Whether a marker may have been written to it: it may have become read-only since.
    pub(super) fn may_hold_marker(&self) -> bool {
        !self.is_loop() && TAKE_MARKERS.contains(&self.fs_type.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(major: u32, source: &str, fs_type: &str, read_only: bool) -> Mount {
        let (device, mountpoint) = (DeviceNumber { major, minor: 1 }, "/x".to_owned());
        Mount {
            device,
            mountpoint,
            fs_type: fs_type.to_owned(),
            source: source.to_owned(),
            read_only,
            synchronous: false,
            uuid: None,
        }
    }

    #[test]
    fn a_marker_goes_where_files_can_be_written_and_no_other_filesystem_is_beneath() {
        assert!(mount(8, "/dev/sda1", "ext4", false).takes_marker());
        assert!(mount(0, "/dev/sda1", "btrfs", false).takes_marker());
        assert!(!mount(8, "/dev/sda1", "ext4", true).takes_marker());
        assert!(!mount(8, "/dev/sda1", "vfat", false).takes_marker());
        assert!(!mount(7, "/dev/loop0", "ext4", false).takes_marker());
        assert!(!mount(259, "/dev/loop0p1", "ext4", false).takes_marker());
    }
}
