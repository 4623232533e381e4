//! From a path to a file, with symlinks followed inside of the filesystem only.

use super::node::Node;
use crate::ext4::fault::Fault;
use crate::ext4::{FileType, Filesystem};

/// As many as Linux follows.
const MAX_SYMLINKS: u32 = 40;

/// Whether a symlink at the end of a path is what is asked for, or what it points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// What it points to.
    Last,
    /// The symlink, unless a slash follows its name.
    AllButLast,
}

/// Why a path leads nowhere. Names are escaped.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// No such name in its folder.
    #[error("there is no \"{name}\"")]
    NotFound {
        /// The first name that is not there.
        name: String,
    },
    /// A path goes through something that is no folder.
    #[error("\"{name}\" is no folder")]
    NotAFolder {
        /// The name of it.
        name: String,
    },
    /// Symlinks that point to each other, most likely.
    #[error("more than {MAX_SYMLINKS} symlinks lie on the way")]
    TooManySymlinks,
    /// A structure on the way cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Filesystem<'_> {
    /// The file at `path`, which begins at the root with or without a slash. `..` goes up the way that was come, and an
    /// absolute symlink begins at the filesystem's own root.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn lookup(&self, path: &[u8], follow: Follow) -> Result<Node, LookupError> {
        let mut way: Vec<(Vec<u8>, Node)> = vec![(b"/".to_vec(), self.root()?)];
        let mut ahead = components(path);
        let must_be_folder = path.ends_with(b"/") || path.ends_with(b"/.");
        let mut symlinks = 0;
        while let Some(name) = ahead.pop() {
            let Some((last_name, last)) = way.last() else { break };
            if last.file_type != FileType::Directory {
                return Err(LookupError::NotAFolder { name: escape(last_name) });
            }
            if name == b".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let node = self.child(last, &name)?;
            let is_followed = !ahead.is_empty() || must_be_folder || follow == Follow::Last;
            if node.file_type != FileType::Symlink || !is_followed {
                way.push((name, node));
                continue;
            }
            symlinks += 1;
            if symlinks > MAX_SYMLINKS {
                return Err(LookupError::TooManySymlinks);
            }
            let target = self.symlink_target(&node)?;
            if target.starts_with(b"/") {
                way.truncate(1);
            }
            ahead.extend(components(&target));
        }
        match way.pop() {
            Some((name, node)) if must_be_folder && node.file_type != FileType::Directory => {
                Err(LookupError::NotAFolder { name: escape(&name) })
            }
            Some((_, node)) => Ok(node),
            None => Ok(self.root()?),
        }
    }

    fn child(&self, folder: &Node, name: &[u8]) -> Result<Node, LookupError> {
        let mut first_fault = None;
        for entry in self.entries(folder)? {
            match entry {
                Ok(entry) if entry.name == name => return Ok(self.node(entry.inode)?),
                Ok(_) => {}
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        // It may have been where the folder could not be read.
        Err(first_fault.map_or_else(|| LookupError::NotFound { name: escape(name) }, LookupError::Fault))
    }
}

/// The names of a path, last one first.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|&byte| byte == b'/').rev();
    names.filter(|name| !name.is_empty() && *name != b".").map(<[u8]>::to_vec).collect()
}

fn escape(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().collect()
}
