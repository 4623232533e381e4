//! The lock of a volume group, as LVM 2.03.16 takes it for a change.
//!
//! It is two files in LVM's lock folder: `V_VG`, the lock itself, and `V_VG:aux`, the door to it. With `prioritise_write_locks`, LVM's
//! default, each command goes through the door first, and one that is to change the group holds it shut while it waits for the lock.
//! Here both are held, and the door for longer than the lock: a command that does not go through the door (`AT_THE_LOCK`) waits at
//! the lock alone, and has it as soon as it is let go, while everybody else still stands at the door.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::Holder;
use super::lock_file::LockFile;
use super::lock_holders::{holders, is_held_up};

/// Between two attempts to have a lock.
const POLL: Duration = Duration::from_millis(5);

/// The `--config` of a command of ours that is to wait at the lock, and not at the door.
pub(super) const AT_THE_LOCK: &str = "global{prioritise_write_locks=0}";

/// The lock of a group, and the door to it. Dropping it lets both go.
#[derive(Debug)]
pub(super) struct GroupLock {
    lock: Option<LockFile>,
    _door: LockFile,
}

/// Why a group's lock is not held.
#[derive(Debug)]
pub(super) enum NoLock {
    /// Somebody else had it all the time.
    Taken {
        /// Who, at the end, as far as can be seen from here.
        by: Vec<Holder>,
    },
    /// There is nothing that could be locked.
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: io::Error,
    },
}

impl GroupLock {
    /// Takes the lock of the group `vg`, below LVM's lock folder.
    pub fn take(folder: &Path, vg: &str, within: Duration) -> Result<Self, NoLock> {
        let start = Instant::now();
        let [door, lock] = ["V_%:aux", "V_%"].map(|name| folder.join(name.replace('%', vg)));
        // `files` are those whose holders keep us waiting.
        let wait_for = |path: &Path, files: &[&Path]| {
            loop {
                match LockFile::try_lock(path) {
                    Ok(Some(held)) => return Ok(held),
                    Ok(None) if start.elapsed() >= within => return Err(NoLock::Taken { by: holders(files) }),
                    Ok(None) => thread::sleep(POLL),
                    Err(cause) => return Err(NoLock::Broken { path: path.to_owned(), cause }),
                }
            }
        };
        // Who holds the door shut waits for the lock, too.
        let held_door = wait_for(&door, &[&door, &lock])?;
        Ok(Self { lock: Some(wait_for(&lock, &[&lock])?), _door: held_door })
    }

    /// Whether a process waits at the lock, which it cannot have as long as it is held here.
    pub fn holds_up(&self, pid: u32) -> bool {
        self.lock.as_ref().is_some_and(|lock| is_held_up(pid, lock))
    }

    /// Whether the lock keeps out who comes now: its file has not been replaced.
    pub fn is_in_place(&self) -> bool {
        self.lock.as_ref().is_some_and(LockFile::is_in_place)
    }

    /// Lets go of the lock, and not of the door.
    pub fn let_go(&mut self) {
        self.lock = None;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn whoever_holds_the_lock_or_the_door_keeps_us_out_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for theirs in ["V_vg", "V_vg:aux"] {
            let _held = LockFile::try_lock(&folder.path().join(theirs)).unwrap().unwrap();
            let Err(NoLock::Taken { by }) = GroupLock::take(folder.path(), "vg", SHORT) else { panic!("{theirs}") };
            let [Holder::Process { pid, program }] = &*by else { panic!("{theirs}: {by:?}") };
            assert_eq!((*pid, !program.is_empty()), (std::process::id(), true), "{theirs}");
        }
    }

    #[test]
    fn an_attempt_that_was_in_vain_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let held = LockFile::try_lock(&folder.path().join("V_vg")).unwrap();
        GroupLock::take(folder.path(), "vg", SHORT).unwrap_err();
        drop(held);
        GroupLock::take(folder.path(), "vg", Duration::ZERO).unwrap();
    }

    #[test]
    fn groups_do_not_keep_each_other_out() {
        let folder = tempfile::tempdir().unwrap();
        let _vg = GroupLock::take(folder.path(), "vg", SHORT).unwrap();
        GroupLock::take(folder.path(), "vg-1", SHORT).unwrap();
    }

    #[test]
    fn who_waits_at_the_lock_has_it_while_the_door_is_still_shut() {
        let folder = tempfile::tempdir().unwrap();
        let mut lock = GroupLock::take(folder.path(), "vg", SHORT).unwrap();
        lock.let_go();
        assert!(LockFile::try_lock(&folder.path().join("V_vg")).unwrap().is_some());
        assert!(matches!(GroupLock::take(folder.path(), "vg", SHORT), Err(NoLock::Taken { .. })));
        drop(lock);
        GroupLock::take(folder.path(), "vg", SHORT).unwrap();
    }

    #[test]
    fn a_lock_whose_file_was_removed_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let lock = GroupLock::take(folder.path(), "vg", SHORT).unwrap();
        assert!(lock.is_in_place());
        fs::remove_file(folder.path().join("V_vg")).unwrap();
        assert!(!lock.is_in_place());
    }

    #[test]
    fn a_lock_folder_that_is_not_there_is_told_from_a_lock_that_is_taken() {
        let missing = GroupLock::take(Path::new("/no-such-folder"), "vg", SHORT);
        assert!(matches!(missing, Err(NoLock::Broken { .. })), "{missing:?}");
    }
}
