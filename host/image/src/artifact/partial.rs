//! A file that appears under its name only when it is whole and synced.

use std::{
    collections::hash_map::RandomState,
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, Hasher},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, PosixFadviseAdvice, RenameFlags, posix_fadvise, renameat2},
    unistd::{AccessFlags, faccessat, linkat},
};

use super::ArtifactError;

/// Longest file name of Linux's filesystems, in bytes.
const NAME_MAX_BYTES: usize = 255;

/// After how much of it the page cache is told that nobody will read it. Large enough that no disk waits for the next piece.
const LEAVE_BYTES: u64 = 16 << 20;

/// Between the name that a file will have and what makes its temporary name one of a kind.
const PARTIAL: &str = ".partial-";

/// A free name in a folder that can be written to, and the temporary name that its file will have until it is whole.
#[derive(Debug)]
pub struct Target {
    folder: PathBuf,
    path: PathBuf,
    partial_path: PathBuf,
    probe_path: PathBuf,
}

impl Target {
    /// Looks whether `name` can be made in `folder`, creating nothing.
    ///
    /// # Errors
    /// [`ArtifactError`] where the folder is missing, no folder or not writable, the name cannot be one, or is taken.
    pub fn new(folder: &Path, name: &str) -> Result<Self, ArtifactError> {
        let temporary = || format!(".{name}{PARTIAL}{:016x}", RandomState::new().build_hasher().finish());
        let (partial, probe) = (temporary(), temporary());
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) || partial.len() > NAME_MAX_BYTES {
            return Err(ArtifactError::Name { name: name.to_owned() });
        }
        let folder = folder.to_owned();
        match fs::metadata(&folder) {
            Err(source) => return Err(ArtifactError::Folder { folder, source }),
            Ok(found) if !found.is_dir() => return Err(ArtifactError::NotAFolder { folder }),
            Ok(_) => {}
        }
        let access = AccessFlags::W_OK | AccessFlags::X_OK;
        if let Err(errno) = faccessat(nix::fcntl::AT_FDCWD, &folder, access, AtFlags::AT_EACCESS) {
            return Err(ArtifactError::NotWritable { folder, source: errno.into() });
        }
        let path = folder.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            return Err(ArtifactError::Exists { path });
        }
        Ok(Self { partial_path: folder.join(partial), probe_path: folder.join(probe), folder, path })
    }

    /// The name that the whole file will have.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names that the file may have until then, the second for a moment only: what a dead run may have left behind.
    #[must_use]
    pub fn temporary_paths(&self) -> [&Path; 2] {
        [&self.partial_path, &self.probe_path]
    }

    /// Creates the file under its temporary name, readable by its owner only. It gets that name in the way in which it will get the one
    /// of the whole file: that there is no such way has to be known before hours of copying.
    ///
    /// # Errors
    /// [`ArtifactError::NoRename`] where a file here can get no name without replacing what has it; [`ArtifactError::Io`].
    pub fn create(self) -> Result<Partial, ArtifactError> {
        self.create_by(rename_to_free_name)
    }

    fn create_by(self, rename: impl FnOnce(&Path, &Path) -> nix::Result<()>) -> Result<Partial, ArtifactError> {
        let failed = |step, path: &Path, source| ArtifactError::Io { step, path: path.to_owned(), source };
        // Kept open for its fsync: after the rename is no time to find that it cannot be opened.
        let folder = File::open(&self.folder).map_err(|source| failed("open", &self.folder, source))?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.probe_path)
            .map_err(|source| failed("create", &self.probe_path, source))?;
        if let Err(errno) = rename(&self.probe_path, &self.partial_path) {
            if let Err(error) = remove_partial(&self.probe_path) {
                tracing::error!(path = %self.probe_path.display(), %error, "cannot remove the empty file");
            }
            return Err(match errno {
                Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::EMLINK => {
                    ArtifactError::NoRename { folder: self.folder, source: errno.into() }
                }
                errno => failed("give its name to", &self.partial_path, errno.into()),
            });
        }
        Ok(Partial { target: self, folder, file, written_bytes: 0, left_bytes: 0, finished: false })
    }
}

/// A file in the making. Dropped unfinished, it is removed.
#[derive(Debug)]
pub struct Partial {
    target: Target,
    folder: File,
    file: File,
    /// How much is written, and up to where the page cache was told that nobody will read it.
    written_bytes: u64,
    left_bytes: u64,
    finished: bool,
}

impl Partial {
    /// Has what was written since leave this host's memory, where a guest's pages are worth more. Linux begins to write out what is new of
    /// it, and drops what is on the disk by now: so each piece is told of twice.
    fn leave(&mut self) {
        let from = self.left_bytes.saturating_sub(LEAVE_BYTES);
        let (Ok(offset), Ok(size)) = (i64::try_from(from), i64::try_from(self.written_bytes - from)) else { return };
        if let Err(errno) = posix_fadvise(&self.file, offset, size, PosixFadviseAdvice::POSIX_FADV_DONTNEED) {
            tracing::trace!(path = %self.target.partial_path.display(), %errno, "posix_fadvise");
        }
        self.left_bytes = self.written_bytes;
    }

    /// The names of this file.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Syncs the file, gives it its name, and syncs the folder. Gives the name.
    ///
    /// # Errors
    /// [`ArtifactError::Exists`] where something took the name meanwhile; it is left alone and this file is removed.
    /// [`ArtifactError::Io`] where a step failed; only after the last one ("sync the folder of") the file exists, whole.
    pub fn finish(mut self) -> Result<PathBuf, ArtifactError> {
        let Target { folder, path, partial_path, .. } = &self.target;
        let failed = |step, path: &Path, source| ArtifactError::Io { step, path: path.to_owned(), source };
        self.file.sync_all().map_err(|source| failed("sync", partial_path, source))?;
        posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).ok();
        match rename_to_free_name(partial_path, path) {
            Ok(()) => self.finished = true,
            Err(Errno::EEXIST) => return Err(ArtifactError::Exists { path: path.clone() }),
            Err(errno) => return Err(failed("give its name to", path, errno.into())),
        }
        self.folder.sync_all().map_err(|source| failed("sync the folder of the finished", folder, source))?;
        Ok(path.clone())
    }
}

/// Removes an unfinished file; that there is none is as good. Only what [`Target`] gives to an unfinished file is removed.
///
/// # Errors
/// [`ArtifactError::Name`] where the name is none of those, [`ArtifactError::Io`] where it cannot be removed.
pub fn remove_partial(path: &Path) -> Result<(), ArtifactError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let suffix = name.strip_prefix('.').and_then(|name| name.rsplit_once(PARTIAL)).map(|(_, suffix)| suffix);
    if !suffix.is_some_and(|suffix| suffix.len() == 16 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(ArtifactError::Name { name: name.into_owned() });
    }
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ArtifactError::Io { step: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Renames without ever replacing anything. NFS and others have no such flag: there the new name is a link first.
fn rename_to_free_name(from: &Path, to: &Path) -> nix::Result<()> {
    let here = nix::fcntl::AT_FDCWD;
    match renameat2(here, from, here, to, RenameFlags::RENAME_NOREPLACE) {
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
            linkat(here, from, here, to, AtFlags::empty())?;
            nix::unistd::unlink(from)
        }
        outcome => outcome,
    }
}

impl Write for Partial {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let count = self.file.write(buf)?;
        self.written_bytes = self.written_bytes.saturating_add(count as u64);
        if self.written_bytes - self.left_bytes >= LEAVE_BYTES {
            self.leave();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let path = &self.target.partial_path;
        if !self.finished
            && let Err(error) = remove_partial(path)
        {
            tracing::error!(path = %path.display(), %error, "cannot remove the unfinished file");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_only_when_finished() {
        let folder = tempfile::tempdir().unwrap();
        let mut partial = Target::new(folder.path(), "vm.img.zst").unwrap().create().unwrap();
        partial.write_all(b"whole").unwrap();
        let temporary = names(folder.path());
        assert!(temporary.len() == 1 && temporary[0].starts_with(".vm.img.zst.partial-"), "{temporary:?}");
        let path = partial.finish().unwrap();
        assert_eq!(names(folder.path()), ["vm.img.zst"]);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    /// As on a FUSE filesystem that has neither.
    #[test]
    fn a_folder_in_which_no_file_can_get_a_free_name_is_found_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let create =
            |errno| Target::new(folder.path(), "vm.img.zst").unwrap().create_by(|_, _| Err(errno)).unwrap_err();
        for errno in [Errno::EPERM, Errno::EOPNOTSUPP] {
            let error = create(errno);
            assert!(matches!(error, ArtifactError::NoRename { .. }), "{error}");
        }
        assert!(matches!(create(Errno::EIO), ArtifactError::Io { .. }));
        assert_eq!(names(folder.path()), [""; 0]);
    }

    /// Whoever is killed in between leaves it under one of the names that its log has.
    #[test]
    fn a_file_has_no_temporary_name_but_those_that_are_told_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::new(folder.path(), "vm.img.zst").unwrap();
        let told = target.temporary_paths().map(Path::to_owned);
        let renaming = |from: &Path, to: &Path| {
            assert!(told.contains(&from.to_owned()) && told.contains(&to.to_owned()), "{from:?} {to:?}");
            assert!(from.exists() && names(folder.path()).len() == 1);
            rename_to_free_name(from, to)
        };
        let partial = target.create_by(renaming).unwrap();
        assert_eq!(folder.path().join(&names(folder.path())[0]), told[0]);
        drop(partial);
        told.iter().for_each(|path| remove_partial(path).unwrap());
    }

    #[test]
    fn an_unfinished_file_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut partial = Target::new(folder.path(), "vm.img.zst").unwrap().create().unwrap();
        partial.write_all(b"half").unwrap();
        drop(partial);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn a_name_that_exists_is_refused_beforehand_also_as_a_dangling_link() {
        let folder = tempfile::tempdir().unwrap();
        symlink("nowhere", folder.path().join("vm.img.zst")).unwrap();
        let error = Target::new(folder.path(), "vm.img.zst").unwrap_err();
        assert!(matches!(error, ArtifactError::Exists { .. }), "{error}");
    }

    #[test]
    fn a_name_taken_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let partial = Target::new(folder.path(), "vm.img.zst").unwrap().create().unwrap();
        fs::write(folder.path().join("vm.img.zst"), b"theirs").unwrap();
        assert!(matches!(partial.finish().unwrap_err(), ArtifactError::Exists { .. }));
        assert_eq!(names(folder.path()), ["vm.img.zst"]);
        assert_eq!(fs::read(folder.path().join("vm.img.zst")).unwrap(), b"theirs");
    }

    #[test]
    fn a_missing_folder_or_a_file_in_its_place_is_said_to_be_that() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Target::new(&folder.path().join("no"), "vm.img.zst").unwrap_err();
        assert!(matches!(missing, ArtifactError::Folder { .. }), "{missing}");
        fs::write(folder.path().join("file"), b"").unwrap();
        let file = Target::new(&folder.path().join("file"), "vm.img.zst").unwrap_err();
        assert!(matches!(file, ArtifactError::NotAFolder { .. }), "{file}");
        let beneath = Target::new(&folder.path().join("file/beneath"), "vm.img.zst").unwrap_err();
        assert!(matches!(beneath, ArtifactError::Folder { .. }), "{beneath}");
    }

    #[test]
    fn a_folder_on_a_read_only_filesystem_is_not_writable() {
        let error = Target::new(Path::new("/proc/self"), "vm.img.zst").unwrap_err();
        assert!(matches!(error, ArtifactError::NotWritable { .. }), "{error}");
    }

    #[test]
    fn a_name_that_is_no_file_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", ".", "..", ".hidden", "a/b", "a\0b", &"n".repeat(240)] {
            let error = Target::new(folder.path(), name).unwrap_err();
            assert!(matches!(error, ArtifactError::Name { .. }), "{error}");
        }
    }
}
