//! Who holds a lock of LVM, and who waits at it, by what the kernel shows in /proc.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use super::Holder;
use super::holders::read;
use super::lock_file::{Inode, LockFile};

/// The locks that are looked at, and the open files of one process.
const MAX_LOCKS: usize = 1 << 16;
const MAX_FILES: usize = 4096;

/// The processes that hold a lock of one of these files, each once.
pub(super) fn holders(files: &[&Path]) -> Vec<Holder> {
    let inodes: Vec<Inode> = files.iter().filter_map(|file| Inode::at(file)).collect();
    let mut pids = holding(&read(Path::new("/proc/locks")), &inodes);
    pids.sort_unstable();
    pids.dedup();
    let program = |pid: u32| read(&PathBuf::from(format!("/proc/{pid}/comm"))).trim().to_owned();
    pids.into_iter().map(|pid| Holder::Process { pid, program: program(pid) }).collect()
}

/// The holders by a text of proc_locks(5): `1: FLOCK  ADVISORY  WRITE 5255 fe:00:5595596 0 EOF`, where the device number is
/// hexadecimal. A waiter has an arrow behind the number, and a process outside of our namespace has no number.
fn holding(locks: &str, inodes: &[Inode]) -> Vec<u32> {
    let of = |inode: &Inode| format!("{:02x}:{:02x}:{}", major(inode.device), minor(inode.device), inode.number);
    let wanted: Vec<String> = inodes.iter().map(of).collect();
    let held = locks.lines().take(MAX_LOCKS).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = fields[..] else { return None };
        let pid = pid.parse().ok().filter(|pid| *pid != 0)?;
        wanted.iter().any(|inode| inode == file).then_some(pid)
    });
    held.collect()
}

/// Whether a process waits at a lock that is held here: it sleeps, and has the very file open. LVM opens it right before it locks
/// it, and what is held it cannot get past. (That /proc/locks shows its waiting depends on the kernel: from 4.20 to 5.12 it does
/// not show who waits behind another waiter.)
pub(super) fn is_held_up(pid: u32, lock: &LockFile) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    sleeps(&read(&process.join("stat"))) && has_open(&process, lock)
}

/// By the third field of proc_pid_stat(5); the second one is in brackets, and can have some itself.
fn sleeps(stat: &str) -> bool {
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
}

/// Only links to a file of that name are followed: to ask about a file on a dead network mount would hang.
fn has_open(process: &Path, lock: &LockFile) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return false };
    let mut files = files.flatten().take(MAX_FILES).map(|file| file.path());
    files.any(|file| {
        fs::read_link(&file).is_ok_and(|target| target.file_name() == lock.path().file_name())
            && Inode::at(&file) == Some(lock.inode())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // As Linux 6.1 shows two locks, one of them with waiters.
    const LOCKS: &str = "1: POSIX  ADVISORY  WRITE 5255 fe:00:559 0 EOF\n\
                         2: FLOCK  ADVISORY  WRITE 5300 fe:00:559 0 EOF\n\
                         2: -> FLOCK  ADVISORY  WRITE 5301 fe:00:559 0 EOF\n\
                         2:  -> FLOCK  ADVISORY  READ 5302 fe:00:559 0 EOF\n\
                         3: FLOCK  ADVISORY  READ 0 fe:00:560 0 EOF\n\
                         4: FLOCK  ADVISORY  READ 5303 fe:00:560 0 EOF\n\
                         5: FLOCK  ADVISORY  WRITE 5304 00:1a:559 0 EOF\n";

    fn inode(number: u64) -> Inode {
        Inode { device: nix::sys::stat::makedev(0xfe, 0), number }
    }

    #[test]
    fn holders_are_told_from_waiters_other_files_and_other_kinds_of_locks() {
        assert_eq!(holding(LOCKS, &[inode(559)]), [5300]);
        assert_eq!(holding(LOCKS, &[inode(559), inode(560)]), [5300, 5303], "a process without a number is not named");
        assert_eq!(holding(LOCKS, &[inode(561)]), [0; 0]);
        assert_eq!(holding("no locks\n1:\n", &[inode(559)]), [0; 0]);
    }

    #[test]
    fn a_process_that_sleeps_is_told_from_one_that_runs() {
        assert!(sleeps("77 (lvconvert) S 1 77 77 0 -1"));
        assert!(sleeps("77 (a) R) S 1 77 77 0 -1"), "the name of a program can be anything");
        for busy in ["77 (lvconvert) R 1 77", "77 (lvconvert) D 1 77", "77 (S) Z 1 77", ""] {
            assert!(!sleeps(busy), "{busy}");
        }
    }

    #[test]
    fn the_file_that_is_locked_is_told_from_another_one_at_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("V_vg");
        let this = Path::new("/proc/self");
        let first = LockFile::try_lock(&path).unwrap().unwrap();
        assert!(has_open(this, &first));
        fs::remove_file(&path).unwrap();
        let second = LockFile::try_lock(&path).unwrap().unwrap();
        assert!(has_open(this, &second));
        assert!(!has_open(this, &first), "what was removed keeps nobody out");
        assert!(!is_held_up(u32::MAX, &first), "there is no such process");
    }
}
