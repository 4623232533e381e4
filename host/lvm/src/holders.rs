//! Who holds a device busy: what LVM means by "in use", "used by another device" and "filesystem in use".
//!
//! Looks at `/sys/dev/block/MAJ:MIN/holders` (device-mapper and md on top), `/sys/block/loop*/loop/backing_file` (loop devices, which
//! show up nowhere else), `mountinfo` of every mount namespace, and the open files of all processes. All of it bounded, and all of it
//! best effort: a process that ends meanwhile is not there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use super::{LvName, Lvm};

/// Processes that are looked at, and open files over all of them.
const MAX_PROCESSES: usize = 32_768;
const MAX_FILES: usize = 1 << 20;
/// What is read of one file of /proc or /sys.
const MAX_READ: u64 = 4 << 20;
/// Programs that open any new or changed block device for a moment.
const PROBERS: [&str; 11] = [
    "systemd-udevd",
    "(udev-worker)",
    "udev-worker",
    "udevd",
    "blkid",
    "lvm",
    "lvs",
    "vgs",
    "pvs",
    "pvscan",
    "udisksd",
];

/// Something that keeps a block device open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A mount.
    Mount {
        /// Where it is mounted, as seen by the process that has it mounted.
        mountpoint: String,
    },
    /// Another block device on top of it: a partition mapping of kpartx, a loop device, a nested volume group.
    Device {
        /// Its name: the dm name where it has one, else the kernel's.
        name: String,
    },
    /// A process that has it open.
    Process {
        /// The process.
        pid: u32,
        /// Its program.
        program: String,
    },
}

impl Holder {
    /// Whether it lets go by itself: udev and LVM look at every new device for a moment.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Process { program, .. } if PROBERS.contains(&program.as_str()))
    }
}

/// With the command that makes it let go.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount { mountpoint } => write!(f, "a mount on {mountpoint} (umount it)"),
            Self::Device { name } if name.starts_with("loop") => {
                write!(f, "the loop device {name} (losetup -d /dev/{name})")
            }
            Self::Device { name } => write!(f, "the device {name} on top of it (kpartx -d or dmsetup remove)"),
            Self::Process { pid, program } => write!(f, "{program} with pid {pid}"),
        }
    }
}

impl Lvm {
    /// Who holds a volume, as far as can be seen from here. Empty if nobody does, or if it is not active.
    #[must_use]
    pub fn holders(&self, name: &LvName) -> Vec<Holder> {
        let node = fs::metadata(self.device_path(name)).ok().filter(|node| node.file_type().is_block_device());
        node.map(|node| Roots::default().holders(node.rdev())).unwrap_or_default()
    }
}

/// Where the kernel's files are.
struct Roots {
    sys: PathBuf,
    proc: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into() }
    }
}

impl Roots {
    fn holders(&self, device: u64) -> Vec<Holder> {
        let number = format!("{}:{}", major(device), minor(device));
        let mut found: BTreeSet<Holder> = self.devices(&number).into_iter().collect();
        let mut namespaces = BTreeSet::new();
        let mut files = 0;
        for process in entries(&self.proc).into_iter().take(MAX_PROCESSES) {
            let Some(pid) = process.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
            if namespaces.insert(fs::read_link(process.join("ns/mnt")).ok()) {
                let mounts = mountpoints(&read(&process.join("mountinfo")), &number);
                found.extend(mounts.into_iter().map(|mountpoint| Holder::Mount { mountpoint }));
            }
            let fds = entries(&process.join("fd"));
            files += fds.len();
            if files > MAX_FILES {
                break;
            }
            if fds.iter().any(|fd| is_open_on(fd, device)) {
                found.insert(Holder::Process { pid, program: read(&process.join("comm")).trim().to_owned() });
            }
        }
        found.into_iter().collect()
    }

    fn devices(&self, number: &str) -> Vec<Holder> {
        let device = self.sys.join("dev/block").join(number);
        let on_top = entries(&device.join("holders")).into_iter().filter_map(|path| {
            let kernel_name = path.file_name()?.to_str()?.to_owned();
            let dm_name = read(&self.sys.join("block").join(&kernel_name).join("dm/name")).trim().to_owned();
            Some(Holder::Device { name: if dm_name.is_empty() { kernel_name } else { dm_name } })
        });
        let kernel_name: Option<OsString> =
            fs::canonicalize(&device).ok().and_then(|path| Some(path.file_name()?.to_owned()));
        let loops = entries(&self.sys.join("block")).into_iter().filter_map(|path| {
            let name = path.file_name()?.to_str().filter(|name| name.starts_with("loop"))?.to_owned();
            let backing = read(&path.join("loop/backing_file"));
            let on_it = Path::new(backing.trim()).file_name().is_some_and(|file| Some(file) == kernel_name.as_deref());
            (on_it && backing.starts_with("/dev/")).then_some(Holder::Device { name })
        });
        on_top.chain(loops).collect()
    }
}

/// Only links into /dev are followed: to ask about a file on a dead network mount would hang.
pub(super) fn is_open_on(fd: &Path, device: u64) -> bool {
    fs::read_link(fd).is_ok_and(|target| target.starts_with("/dev"))
        && fs::metadata(fd).is_ok_and(|file| file.file_type().is_block_device() && file.rdev() == device)
}

/// The mountpoints (field 5) of a device (field 3) in a mountinfo file, proc_pid_mountinfo(5), with its octal escapes as they are.
fn mountpoints(mountinfo: &str, number: &str) -> Vec<String> {
    let fields = mountinfo.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields
        .filter(|fields| fields.get(2) == Some(&number))
        .filter_map(|fields| Some((*fields.get(4)?).to_owned()))
        .collect()
}

pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

pub(super) fn read(file: &Path) -> String {
    let mut bytes = Vec::new();
    // What cannot be read is as good as empty: the process has ended, or it is no device of that kind.
    fs::File::open(file).and_then(|file| file.take(MAX_READ).read_to_end(&mut bytes)).ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn write(file: PathBuf, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// What the lab's /sys and /proc showed for 254:6 under a mount, a kpartx mapping and a loop device.
    fn roots(folder: &Path) -> Roots {
        let roots = Roots { sys: folder.join("sys"), proc: folder.join("proc") };
        fs::create_dir_all(roots.sys.join("dev/block")).unwrap();
        fs::create_dir_all(roots.sys.join("block/dm-6/holders/dm-7")).unwrap();
        symlink(roots.sys.join("block/dm-6"), roots.sys.join("dev/block/254:6")).unwrap();
        write(roots.sys.join("block/dm-7/dm/name"), "vg-snap1\n");
        write(roots.sys.join("block/loop0/loop/backing_file"), "/dev/dm-6\n");
        write(roots.sys.join("block/loop1/loop/backing_file"), "/dev/dm-5\n");
        write(
            roots.proc.join("77/mountinfo"),
            "21 1 0:20 / / ro - hostfs none ro\n27 21 254:6 / /run/m ro,relatime - ext2 /dev/mapper/vg-snap ro,errors=continue\n",
        );
        roots
    }

    #[test]
    fn mounts_mappings_and_loop_devices_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let found = roots(folder.path()).holders(nix::sys::stat::makedev(254, 6));
        assert_eq!(
            found,
            [
                Holder::Mount { mountpoint: "/run/m".into() },
                Holder::Device { name: "loop0".into() },
                Holder::Device { name: "vg-snap1".into() },
            ]
        );
    }

    #[test]
    fn a_device_that_nobody_holds_has_no_holders() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(roots(folder.path()).holders(nix::sys::stat::makedev(254, 9)), []);
    }

    #[test]
    fn a_process_with_an_open_device_is_named() {
        let node = fs::File::open("/dev/null").unwrap();
        let fd = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&node)));
        assert!(!is_open_on(&fd, fs::metadata("/dev/null").unwrap().rdev()), "a character device is no block device");
        assert!(!Holder::Process { pid: 1, program: "qemu-system-x86".into() }.is_transient());
        assert!(Holder::Process { pid: 1, program: "(udev-worker)".into() }.is_transient());
    }
}
