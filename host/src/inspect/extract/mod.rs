//! Files of a volume copied into a folder of this host.
//!
//! Everything that is read is the guest's and may be hostile. Names reach the kernel one at a time, below a descriptor of
//! the folder that they belong to, and no symlink is ever followed: nothing outside of the destination can be touched.
//! What a hostile filesystem could make endless ends: folders are entered once and not deeper than [`MAX_DEPTH`], and no
//! more is read than the filesystem has room for.

mod attributes;
mod content;
mod hard_links;
mod report;
mod target;
mod trouble;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use fsprobe::ext4::files::Node;
use fsprobe::ext4::{FileType, Filesystem};

use self::hard_links::HardLinks;
pub use self::report::{Copied, FileError, LeftOut, Report};
use self::target::Folder;
pub use self::trouble::Trouble;
use crate::stop::Stop;

/// Folders inside each other; each takes a descriptor while its content is copied.
pub const MAX_DEPTH: usize = 512;
/// Folders of one copy.
const MAX_FOLDERS: usize = 1 << 24;

/// What is asked for besides the copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Replace files that are there already.
    pub overwrite: bool,
    /// Make device nodes.
    pub devices: bool,
}

/// Copies `node`, whose own name is `name` (none for the root), to `destination`: into it where that is a folder, else as
/// it. The report says what came of it.
///
/// # Errors
/// Where the destination's folder cannot be opened: nothing was copied then.
pub fn extract(
    filesystem: &Filesystem<'_>,
    node: &Node,
    name: Option<&[u8]>,
    destination: &Path,
    options: Options,
    stop: &Stop,
) -> Result<Report, Trouble> {
    let (folder, name) = match (destination.is_dir(), destination.file_name()) {
        (true, _) => (destination, name),
        (false, Some(new)) => (destination.parent().unwrap_or(destination), Some(new.as_bytes())),
        (false, None) => return Err(Trouble::write("open it", rustix::io::Errno::NOENT)),
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(OsStr::new(".")) } else { folder };
    let top = Folder::open(folder)?;
    let mut extraction = Extraction {
        filesystem,
        options,
        stop,
        top: &top,
        way: Vec::new(),
        entered: HashSet::new(),
        hard_links: HardLinks::default(),
        room_bytes: filesystem.superblock.size_bytes(),
        report: Report::default(),
    };
    let ended = match name {
        Some(name) => extraction.copy(&top, name, || Ok(node.clone())),
        None => extraction.fill(&top, node),
    };
    if let Err(trouble) = ended {
        extraction.report.fail(&extraction.way, &trouble);
    }
    if let Err(trouble) = top.sync() {
        extraction.report.fail(&[], &trouble);
    }
    Ok(extraction.report)
}

struct Extraction<'e> {
    filesystem: &'e Filesystem<'e>,
    options: Options,
    stop: &'e Stop,
    top: &'e Folder,
    /// The names from `top` down to what is being copied.
    way: Vec<Vec<u8>>,
    /// Inodes of folders: none has two names in a sound filesystem, and a loop enters one twice.
    entered: HashSet<u32>,
    hard_links: HardLinks,
    /// What may still be read: a sound filesystem has each block in one file.
    room_bytes: u64,
    report: Report,
}

impl Extraction<'_> {
    /// Copies what `find` finds as `name` in `folder`. Fails only where nothing more can be copied at all.
    fn copy(
        &mut self,
        folder: &Folder,
        name: &[u8],
        find: impl FnOnce() -> Result<Node, fsprobe::ext4::Fault>,
    ) -> Result<(), Trouble> {
        self.way.push(name.to_vec());
        let copied = match find() {
            Ok(node) => self.copy_node(folder, name, &node),
            Err(fault) => Err(fault.into()),
        };
        match copied {
            Err(trouble) if trouble.ends_all() => return Err(trouble),
            Err(trouble) => self.report.fail(&self.way, &trouble),
            Ok(()) => {}
        }
        self.way.pop();
        Ok(())
    }

    fn copy_node(&mut self, folder: &Folder, name: &[u8], node: &Node) -> Result<(), Trouble> {
        if self.stop.check().is_err() {
            return Err(Trouble::Stopped);
        }
        let is_device = matches!(node.file_type, FileType::CharacterDevice | FileType::BlockDevice);
        if node.file_type == FileType::Directory {
            return self.copy_folder(folder, name, node);
        } else if is_device && !self.options.devices {
            self.report.leave_out("device node", &self.way, "not made without --devices");
            return Ok(());
        } else if self.link(folder, name, node)? {
            return Ok(());
        }
        folder.create(name, self.options.overwrite, &mut |name| self.copy_other(folder, name, node))?;
        self.hard_links.remember(node, &self.way);
        Ok(())
    }

    /// Gives what was copied before under another name this one, too.
    fn link(&mut self, folder: &Folder, name: &[u8], node: &Node) -> Result<bool, Trouble> {
        let Some(first) = self.hard_links.first_copy(node) else { return Ok(false) };
        let linked = folder.create(name, self.options.overwrite, &mut |name| self.top.link(&first, folder, name));
        match linked {
            Ok(()) => {
                self.report.copied.hard_links += 1;
                Ok(true)
            }
            Err(Trouble::Exists) => Err(Trouble::Exists),
            // It is copied once more: the content matters more than that it is shared.
            Err(trouble) => {
                self.report.leave_out("hard link", &self.way, &trouble.to_string());
                Ok(false)
            }
        }
    }

    /// Anything but a folder, under a name that is free.
    fn copy_other(&mut self, folder: &Folder, name: &[u8], node: &Node) -> Result<(), Trouble> {
        let made = match node.file_type {
            FileType::Regular => {
                let file = folder.create_file(name)?;
                self.write_content(&file, node)?;
                if self.options.overwrite {
                    // The old one is given up for it.
                    rustix::fs::fsync(&file).map_err(|error| Trouble::write("write it to the disk", error))?;
                }
                self.report.copied.files += 1;
                file
            }
            FileType::Symlink => {
                let symlink = folder.create_symlink(name, &self.filesystem.symlink_target(node)?)?;
                self.report.copied.symlinks += 1;
                symlink
            }
            other => {
                let special = folder.create_special(name, other, node.device_number())?;
                self.report.copied.special_files += 1;
                special
            }
        };
        self.apply_attributes(&made, node)
    }

    fn copy_folder(&mut self, folder: &Folder, name: &[u8], node: &Node) -> Result<(), Trouble> {
        if self.way.len() > MAX_DEPTH {
            return Err(Trouble::TooDeep);
        }
        let (made, is_new) = folder.create_folder(name)?;
        let filled = self.fill(&made, node);
        // One that cannot be listed, as an encrypted one, is its owner's nevertheless.
        if is_new && !filled.as_ref().is_err_and(Trouble::ends_all) {
            self.report.copied.folders += 1;
            self.apply_attributes(made.descriptor(), node)?;
        }
        filled
    }

    /// Copies what is in the folder `node` into `made`.
    fn fill(&mut self, made: &Folder, node: &Node) -> Result<(), Trouble> {
        if self.entered.len() >= MAX_FOLDERS {
            return Err(Trouble::TooMuch { what: "folders" });
        }
        if !self.entered.insert(node.inode.number) {
            return Err(Trouble::SecondName { inode: node.inode.number });
        }
        self.charge(u64::from(self.filesystem.superblock.s_inode_size))?;
        let filesystem = self.filesystem;
        let mut entries = filesystem.entries(node)?;
        let mut read_bytes = 0;
        while let Some(entry) = entries.next() {
            self.charge(entries.read_bytes() - read_bytes)?;
            read_bytes = entries.read_bytes();
            match entry {
                Ok(entry) => self.copy(made, &entry.name, || filesystem.node(entry.inode))?,
                Err(fault) => self.report.fail(&self.way, &fault.into()),
            }
        }
        Ok(())
    }

    /// Counts what was read.
    fn charge(&mut self, bytes: u64) -> Result<(), Trouble> {
        match self.room_bytes.checked_sub(bytes) {
            Some(room_bytes) => {
                self.room_bytes = room_bytes;
                Ok(())
            }
            None => Err(Trouble::TooMuch { what: "bytes" }),
        }
    }
}
