//! Processes that have a device open, or something of a mount.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use super::roots::{Roots, entries, name_of, read_text};

/// Processes that are looked at, and open files over all of them.
pub(super) const MAX_PROCESSES: usize = 32_768;
const MAX_FILES: usize = 1 << 20;
/// `USER_HZ`: the unit of times in /proc, on every machine that Debian runs on.
const TICKS_A_SECOND: u64 = 100;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The name of its program; its arguments may have secrets.
    pub command: String,
    /// When it started, in seconds since 1970.
    pub since: Option<u64>,
}

/// A process, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The process.
    pub process: Process,
    /// The numbers of the devices that it has open.
    pub opens: BTreeSet<String>,
    /// The mountpoints below which it works or has files open.
    pub uses: BTreeSet<PathBuf>,
}

/// What is asked of every process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Numbers of devices.
    pub numbers: BTreeSet<String>,
    /// Mountpoints of our mount namespace.
    pub mountpoints: BTreeSet<PathBuf>,
}

impl Process {
    /// The process of which this is the folder.
    pub(super) fn of(roots: &Roots, folder: &Path) -> Option<Self> {
        let pid = name_of(folder).parse().ok()?;
        let since = started(&read_text(&folder.join("stat")), &read_text(&roots.proc.join("stat")));
        Some(Self { pid, command: read_text(&folder.join("comm")), since })
    }
}

/// By `starttime`, the 22nd field of proc_pid_stat(5), and `btime` of proc_stat(5). The second field is in brackets, and can have
/// some itself.
fn started(stat: &str, of_all: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    let boot: u64 = of_all.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    boot.checked_add(ticks / TICKS_A_SECOND)
}

/// Which mount namespace a process is in; `None` where that cannot be seen.
pub(super) fn namespace(process: &Path) -> Option<PathBuf> {
    fs::read_link(process.join("ns/mnt")).ok()
}

/// The folders of all processes.
pub(super) fn folders(roots: &Roots) -> Vec<PathBuf> {
    entries(&roots.proc).into_iter().filter(|path| name_of(path).parse::<u32>().is_ok()).collect()
}

/// Those that hold any of it.
pub(super) fn users(roots: &Roots, interest: &Interest) -> Vec<User> {
    if *interest == Interest::default() {
        return Vec::new();
    }
    let ours = namespace(&roots.proc.join("self"));
    let (mut found, mut files) = (Vec::new(), 0);
    for folder in folders(roots).into_iter().take(MAX_PROCESSES) {
        let is_in_ours = ours.is_some() && namespace(&folder) == ours;
        let fds = entries(&folder.join("fd"));
        files += fds.len();
        if files > MAX_FILES {
            break;
        }
        let works_at = ["cwd", "root", "exe"].map(|link| folder.join(link));
        let (mut opens, mut uses) = (BTreeSet::new(), BTreeSet::new());
        for link in fds.iter().chain(&works_at) {
            let Ok(target) = fs::read_link(link) else { continue };
            opens.extend(device(link, &target).filter(|number| interest.numbers.contains(number)));
            if is_in_ours {
                uses.extend(interest.mountpoints.iter().filter(|point| target.starts_with(point)).cloned());
            }
        }
        if opens.is_empty() && uses.is_empty() {
            continue;
        }
        found.extend(Process::of(roots, &folder).map(|process| User { process, opens, uses }));
    }
    found
}

/// The number of the block device that is open. Only links into /dev are followed: to ask about a file on a dead network mount
/// would hang.
fn device(link: &Path, target: &Path) -> Option<String> {
    let file = target.starts_with("/dev").then(|| fs::metadata(link).ok()).flatten()?;
    let number = file.rdev();
    file.file_type().is_block_device().then(|| format!("{}:{}", major(number), minor(number)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn when_a_process_started_is_told_in_the_hosts_time() {
        let stat = "77 (a) b) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1";
        assert_eq!(started(stat, "cpu 1\nbtime 1764100000\n"), Some(1_764_100_123));
        assert_eq!(started(stat, "cpu 1\n"), None);
        assert_eq!(started("77 (a) S 1", "btime 1\n"), None);
    }

    fn process(roots: &Roots, pid: &str, namespace: &str, cwd: &str) {
        let folder = roots.proc.join(pid);
        fs::create_dir_all(folder.join("ns")).unwrap();
        symlink(namespace, folder.join("ns/mnt")).unwrap();
        symlink(cwd, folder.join("cwd")).unwrap();
        fs::write(folder.join("comm"), "rsync\n").unwrap();
    }

    #[test]
    fn who_works_below_a_mountpoint_uses_it_and_who_does_in_another_namespace_or_beside_it_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { proc: folder.path().to_owned(), sys: folder.path().join("sys") };
        process(&roots, "self", "mnt:[1]", "/");
        process(&roots, "7", "mnt:[1]", "/mnt/snap/etc");
        process(&roots, "8", "mnt:[2]", "/mnt/snap/etc");
        process(&roots, "9", "mnt:[1]", "/mnt/snapshots");
        let interest = Interest { mountpoints: BTreeSet::from(["/mnt/snap".into()]), ..Interest::default() };
        let found = users(&roots, &interest);
        let [User { process: Process { pid: 7, command, .. }, opens, uses }] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&**command, opens.len(), uses), ("rsync", 0, &interest.mountpoints));
    }
}
