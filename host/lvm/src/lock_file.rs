//! A lock file of LVM, locked as LVM 2.03.16 locks it (`lib/misc/lvm-flock.c`), so that its commands and this program keep each
//! other out: an exclusive flock(2), which counts only while the path still leads to the file that is locked. LVM removes a lock
//! file when it lets go of it. This program never does, because then somebody may hold the lock of a file that is no longer there.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// LVM creates them with 0777 and `global/umask`, which is 077.
const MODE: u32 = 0o700;

/// A file, whatever its path is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inode {
    /// As in `st_dev`.
    pub device: u64,
    /// As in `st_ino`.
    pub number: u64,
}

/// A lock that is held. Dropping it lets it go. Programs that are started do not inherit it.
#[derive(Debug)]
pub(super) struct LockFile {
    path: PathBuf,
    inode: Inode,
    _lock: Flock<File>,
}

impl LockFile {
    /// Locks the file, and makes it where there is none. `None` where somebody else holds it, or is just replacing it: worth another
    /// try.
    ///
    /// # Errors
    /// Where it cannot be made or opened, or its filesystem has no locks.
    pub fn try_lock(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path)?;
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => return Ok(None),
            Err((_, errno)) => return Err(errno.into()),
        };
        let held = Self { path: path.to_owned(), inode: Inode::of(&lock.metadata()?), _lock: lock };
        Ok(held.is_in_place().then_some(held))
    }

    /// Whether its path still leads to it. If not, the next who locks that path is not kept out.
    pub fn is_in_place(&self) -> bool {
        Inode::at(&self.path) == Some(self.inode)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn inode(&self) -> Inode {
        self.inode
    }
}

impl Inode {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), number: metadata.ino() }
    }

    /// The file at this path, where there is one.
    pub fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::of(&metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped_and_its_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("V_vg");
        let held = LockFile::try_lock(&path).unwrap().expect("nobody has it");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        assert!(LockFile::try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(path.exists());
        assert!(LockFile::try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn what_is_in_the_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("V_vg");
        fs::write(&path, "theirs").unwrap();
        drop(LockFile::try_lock(&path).unwrap().unwrap());
        assert_eq!(fs::read_to_string(path).unwrap(), "theirs");
    }

    #[test]
    fn a_file_that_was_removed_or_replaced_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("V_vg");
        let held = LockFile::try_lock(&path).unwrap().unwrap();
        assert!(held.is_in_place());
        fs::remove_file(&path).unwrap();
        assert!(!held.is_in_place());
        let other = LockFile::try_lock(&path).unwrap().expect("the lock of the other file is free");
        assert!(other.is_in_place() && !held.is_in_place());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert!(LockFile::try_lock(Path::new("/no-such-folder/V_vg")).is_err());
    }
}
