//! The folders of this host that a backup writes to, looked at without writing.

use std::io;
use std::path::{Path, PathBuf};

use image::artifact;
use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};

use crate::failure::{Cause, Kind};

/// A name that no artifact has.
const NOBODYS: &str = "stillpoint-doctor.json";

/// A folder.
#[derive(Debug)]
pub struct FolderSeen {
    /// Which.
    pub path: PathBuf,
    /// Whether something can be made in it.
    pub takes_files: Result<(), Cause>,
    /// How many bytes are free for whom we run as.
    pub free_bytes: io::Result<u64>,
}

/// The folder for artifacts. It has to be there.
pub fn target(folder: &Path) -> FolderSeen {
    let takes_files = artifact::Target::new(folder, NOBODYS).map(drop).map_err(Cause::from);
    FolderSeen { path: folder.to_owned(), takes_files, free_bytes: free_bytes(folder) }
}

/// The folder for run logs. A backup makes it where it is missing: then the folder above it is looked at.
pub fn state_dir(folder: &Path) -> FolderSeen {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = whole.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let access = Access::WRITE_OK | Access::EXEC_OK;
    let refused = |why: &dyn std::fmt::Display| {
        Cause::plain(
            Kind::RunLog,
            format!("no run log can be written to {}: {}: {why}", folder.display(), there.display()),
        )
    };
    let takes_files = match there.is_dir() {
        false => Err(refused(&"it is no folder")),
        true => accessat(CWD, there, access, AtFlags::EACCESS).map_err(|errno| refused(&io::Error::from(errno))),
    };
    FolderSeen { path: folder.to_owned(), takes_files, free_bytes: free_bytes(there) }
}

fn free_bytes(folder: &Path) -> io::Result<u64> {
    let found = statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_takes_files_is_told_with_its_room_and_nothing_is_made_in_it() {
        let folder = tempfile::tempdir().unwrap();
        for seen in [target(folder.path()), state_dir(folder.path())] {
            seen.takes_files.unwrap();
            assert!(seen.free_bytes.unwrap() > 0);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_target_has_to_be_there_and_a_folder_for_run_logs_only_has_to_be_possible() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a/b");
        assert_eq!(target(&missing).takes_files.unwrap_err().kind, Kind::Target);
        state_dir(&missing).takes_files.unwrap();
        std::fs::write(folder.path().join("a"), "").unwrap();
        let seen = state_dir(&missing).takes_files.unwrap_err();
        assert!(seen.to_string().contains("it is no folder"), "{seen}");
    }
}
