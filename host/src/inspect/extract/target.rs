//! A folder of this host that is written into, name by name.

use std::os::fd::OwnedFd;
use std::path::Path;

use fsprobe::ext4::FileType;
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::trouble::Trouble;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Only the owner gets at what is not whole yet.
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const PRIVATE_FOLDER: Mode = Mode::RWXU;

/// An open folder. Every name is one component, and none is followed.
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// The folder that the user named: symlinks on the way to it are the user's own.
    pub(super) fn open(path: &Path) -> Result<Self, Trouble> {
        fs::openat(CWD, path, FOLDER, Mode::empty()).map(Self).map_err(|error| Trouble::write("open it", error))
    }

    /// Has everything on its filesystem written to the disk. What was copied could not be written there, else, without
    /// anyone being told: the kernel takes writes that it has to give up later.
    pub(super) fn sync(&self) -> Result<(), Trouble> {
        fs::syncfs(&self.0).map_err(|error| Trouble::write("have the copy written to the disk", error))
    }

    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.0
    }

    /// Has `make` make `name`; what could not be made whole is removed. Where the name is taken, nothing happens, or with
    /// `overwrite` what is there is replaced once the new one is whole.
    pub(super) fn create(
        &self,
        name: &[u8],
        overwrite: bool,
        make: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let is_taken = fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        if is_taken && !overwrite {
            return Err(Trouble::Exists);
        }
        let staging = format!(".stillpoint-{}", uuid::Uuid::new_v4().simple());
        let made_as = if is_taken { staging.as_bytes() } else { name };
        let made = make(made_as).and_then(|()| {
            if !is_taken {
                return Ok(());
            }
            fs::renameat(&self.0, made_as, &self.0, name)
                .map_err(|error| Trouble::write("replace what is there", error))
        });
        // What had that name meanwhile is somebody else's.
        if made.is_err() && !matches!(made, Err(Trouble::Exists)) {
            match fs::unlinkat(&self.0, made_as, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => tracing::warn!("an unfinished copy could not be removed: {error}"),
            }
        }
        made
    }

    /// A new folder, or the one that is there; whether it is new.
    pub(super) fn create_folder(&self, name: &[u8]) -> Result<(Self, bool), Trouble> {
        let is_new = match fs::mkdirat(&self.0, name, PRIVATE_FOLDER) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(Trouble::write("create it", error)),
        };
        match fs::openat(&self.0, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(folder) => Ok((Self(folder), is_new)),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(Trouble::Exists),
            Err(error) => Err(Trouble::write("enter it", error)),
        }
    }

    pub(super) fn create_file(&self, name: &[u8]) -> Result<OwnedFd, Trouble> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(&self.0, name, flags, PRIVATE_FILE).map_err(|error| Trouble::write("create it", error))
    }

    pub(super) fn create_symlink(&self, name: &[u8], target: &[u8]) -> Result<OwnedFd, Trouble> {
        fs::symlinkat(target, &self.0, name).map_err(|error| Trouble::write("create it", error))?;
        self.handle(name)
    }

    /// A device node, FIFO or socket.
    pub(super) fn create_special(
        &self,
        name: &[u8],
        file_type: FileType,
        (major, minor): (u32, u32),
    ) -> Result<OwnedFd, Trouble> {
        let file_type = match file_type {
            FileType::BlockDevice => fs::FileType::BlockDevice,
            FileType::CharacterDevice => fs::FileType::CharacterDevice,
            FileType::Socket => fs::FileType::Socket,
            _ => fs::FileType::Fifo,
        };
        let made = fs::mknodat(&self.0, name, file_type, PRIVATE_FILE, fs::makedev(major, minor));
        made.map_err(|error| Trouble::write("create it", error))?;
        self.handle(name)
    }

    /// Gives the file at `way` below this folder the name `name` in `folder`.
    pub(super) fn link(&self, way: &[Vec<u8>], folder: &Self, name: &[u8]) -> Result<(), Trouble> {
        let failed = |error| Trouble::write("link it", error);
        let Some((last, above)) = way.split_last() else { return Err(failed(Errno::NOENT)) };
        let mut home: Option<OwnedFd> = None;
        for step in above {
            let from = home.as_ref().unwrap_or(&self.0);
            home = Some(fs::openat(from, &**step, FOLDER | OFlags::NOFOLLOW, Mode::empty()).map_err(failed)?);
        }
        let home = home.as_ref().unwrap_or(&self.0);
        fs::linkat(home, &**last, &folder.0, name, AtFlags::empty()).map_err(failed)
    }

    /// A descriptor that names a file without opening it.
    fn handle(&self, name: &[u8]) -> Result<OwnedFd, Trouble> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(&self.0, name, flags, Mode::empty()).map_err(|error| Trouble::write("find it again", error))
    }
}
