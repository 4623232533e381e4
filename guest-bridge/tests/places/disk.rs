//! Disks in memory, and mounts of them.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::Duration,
};

use guest_bridge::places::DeviceNumber;
use stillpoint_tests::machine::{
    alone::{Mounting, mounting},
    program::{run, try_run},
};
use tempfile::TempDir;

/// A folder for mounts. They end with it, in the reverse of their order, and then its disks.
pub struct Mounts {
    folder: TempDir,
    points: Vec<PathBuf>,
    disks: Vec<Disk>,
    _turn: Mounting,
}

impl Mounts {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, points: Vec::new(), disks: Vec::new(), _turn: mounting() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A name in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new disk with a filesystem made by `mkfs` and its options, mounted at `name`.
    pub fn disk(&mut self, name: &str, mkfs: &[&str]) -> PathBuf {
        let disk = Disk::new();
        let (program, options) = mkfs.split_first().unwrap();
        run(program, &[options, &[disk.path().as_str()]].concat());
        let point = self.mount(name, &[&disk.path()]);
        self.disks.push(disk);
        point
    }

    /// `mount ARGUMENTS` at `name`.
    pub fn mount(&mut self, name: &str, arguments: &[&str]) -> PathBuf {
        let point = self.path(name);
        fs::create_dir_all(&point).unwrap();
        run("mount", &[arguments, &[point.to_str().unwrap()]].concat());
        self.points.push(point.clone());
        point
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for point in self.points.iter().rev() {
            try_run("fsfreeze", &["-u".as_ref(), point.as_os_str()]);
            // A program that another test is just starting holds, until it runs, whatever was open here.
            let gone = (0..50).any(|_| {
                try_run("umount", &[point]).status.success() || {
                    sleep(Duration::from_millis(100));
                    false
                }
            });
            assert!(gone || std::thread::panicking(), "{} cannot be unmounted", point.display());
        }
    }
}

/// A block device in memory: the kernel's zram. A loop device is no disk to what is tested here.
struct Disk {
    number: String,
}

/// Whether this kernel has disks in memory. A test that needs them and finds none says so, and ends.
pub fn there_are_disks() -> bool {
    let there_are = || Path::new(HOT_ADD).exists();
    // Whether it can be loaded is seen by what is there afterwards.
    let found = there_are() || Command::new("modprobe").arg("zram").output().is_ok() && there_are();
    if !found {
        println!("not run: this kernel has no zram, and it cannot be loaded");
    }
    found
}

/// Reading it makes a device, and gives its number.
const HOT_ADD: &str = "/sys/class/zram-control/hot_add";

impl Disk {
    fn new() -> Self {
        let number = fs::read_to_string(HOT_ADD).expect("a test asks whether there are disks before it makes one");
        let disk = Self { number: number.trim().to_owned() };
        fs::write(format!("/sys/block/zram{}/disksize", disk.number), "64M").unwrap();
        disk
    }

    fn path(&self) -> String {
        format!("/dev/zram{}", self.number)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let remove = || fs::write("/sys/class/zram-control/hot_remove", &self.number).is_ok();
        // udev may be looking at it.
        let gone = (0..50).any(|_| {
            remove() || {
                sleep(Duration::from_millis(100));
                false
            }
        });
        assert!(gone || std::thread::panicking(), "zram{} cannot be removed", self.number);
    }
}

/// The device and inode of what is at `path`, as the kernel tells them to this program.
pub fn at(path: &Path) -> (DeviceNumber, u64) {
    let metadata = fs::metadata(path).unwrap();
    let device = metadata.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    (DeviceNumber { major: major.try_into().unwrap(), minor: minor.try_into().unwrap() }, metadata.ino())
}
