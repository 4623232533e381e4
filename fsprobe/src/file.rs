//! A regular file of a volume, by the number of its inode: the one thing about a file that can be told without its path.
//!
//! Who tells the number need not be trusted: whatever stands there is read as it is, within bounds, or refused.

use crate::ext4::files::Node;
use crate::ext4::{self, Fault, FileType, Filesystem};
use crate::{FileError, Finding, Kind, ReadAt, Severity, xfs};

/// Gives the content of the regular file `inode` to `read`: holes, and what was allocated but never written, are zeros; its
/// size is that of the file.
///
/// ext2, ext3 and ext4 are read as a replay of their journal leaves them. **XFS is read as it lies on disk**: its log is not
/// replayed, so it has to be clean or covered (unmounted, or frozen) for the content to be that of the file. A check of the
/// volume says whether it is.
///
/// # Errors
/// [`FileError`]. A failed read of the content itself is `read`'s to report.
pub fn with_file<T>(
    volume: &dyn ReadAt,
    kind: Kind,
    inode: u64,
    read: impl FnOnce(&dyn ReadAt) -> T,
) -> Result<T, FileError> {
    match kind {
        Kind::Xfs => Ok(read(&xfs::file(volume, inode)?)),
        kind if kind.is_ext() => {
            let opened = ext4::open(volume)?;
            let is_bad = |finding: &&Finding| matches!(finding.severity, Severity::Damage | Severity::Unknown);
            if let Some(finding) = opened.findings.iter().find(is_bad) {
                return Err(FileError::bad(format!("{}: {}", finding.place, finding.detail)));
            }
            let Some(filesystem) = opened.filesystem().filter(|_| opened.is_interpretable()) else {
                return Err(FileError::bad("there is no ext2, ext3 or ext4 that is understood here"));
            };
            let node = ext_node(&filesystem, inode)?;
            let content = filesystem.content(&node).map_err(of_fault)?;
            Ok(read(&content))
        }
        kind => Err(FileError::Unreadable(kind)),
    }
}

/// The regular file `inode`, which its bitmap says is in use: a free inode may hold anything.
fn ext_node(filesystem: &Filesystem<'_>, inode: u64) -> Result<Node, FileError> {
    let not_there = |detail: String| FileError::NotThere { inode, detail };
    let count = filesystem.superblock.s_inodes_count;
    let place = u32::try_from(inode).ok().and_then(|number| Some((number, filesystem.inode_place(number)?)));
    let Some((number, (group, index))) = place else {
        return Err(not_there(format!("inodes go from 1 to {count}")));
    };
    let descriptor = filesystem.group(group).map_err(of_fault)?;
    if !filesystem.inode_bitmap(&descriptor).map_err(of_fault)?.is_set(index) {
        return Err(not_there("it is free".into()));
    }
    match filesystem.node(number) {
        Ok(node) if node.file_type == FileType::Regular => Ok(node),
        Ok(_) => Err(FileError::NotRegular { inode }),
        Err(Fault::Bad(finding)) if finding.code == "inode-not-a-file" => Err(not_there(finding.detail)),
        Err(fault) => Err(of_fault(fault)),
    }
}

fn of_fault(fault: Fault) -> FileError {
    match fault {
        Fault::Io(error) => FileError::Io(error),
        Fault::Bad(finding) => FileError::bad(format!("{}: {}", finding.place, finding.detail)),
    }
}
