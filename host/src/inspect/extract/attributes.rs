//! Owner, extended attributes, mode and times of what was made.

use std::os::fd::{AsRawFd, OwnedFd};

use fsprobe::ext4::FileType;
use fsprobe::ext4::files::{Node, Time};
use rustix::fs::{self, AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::Extraction;
use super::trouble::Trouble;

/// Set-user-ID and set-group-ID.
const SET_ID: u16 = 0o6000;

impl Extraction<'_> {
    /// Gives `made` what `node` has. The order is the kernel's: a new owner takes the set-user-ID bit and capabilities
    /// away, and every change sets times.
    pub(super) fn apply_attributes(&mut self, made: &OwnedFd, node: &Node) -> Result<(), Trouble> {
        // The one name for it that works for symlinks and special files, too, and that no one can exchange.
        let path = format!("/proc/self/fd/{}", made.as_raw_fd());
        let owned = match (node.user_id(), node.group_id()) {
            // What `chown` takes for "as it is".
            (u32::MAX, _) | (_, u32::MAX) => Err(Errno::INVAL),
            (user, group) => {
                let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
                fs::chownat(CWD, &*path, Some(user), Some(group), AtFlags::empty())
            }
        };
        if let Err(error) = owned {
            self.report.leave_out("owner", &self.way, &error.to_string());
        }
        let xattrs = self.filesystem.xattrs(node);
        for xattr in xattrs.iter().flatten() {
            if let Err(error) = fs::setxattr(&*path, &*xattr.name, &xattr.value, XattrFlags::empty()) {
                let why = format!("{}: {error}", crate::show::printable::printable(&xattr.name));
                self.report.leave_out("extended attribute", &self.way, &why);
            }
        }
        if node.file_type != FileType::Symlink {
            let mut permissions = node.permissions();
            if owned.is_err() && permissions & SET_ID != 0 {
                // It would be somebody else's identity.
                self.report.leave_out("set-user-ID", &self.way, "the owner could not be kept");
                permissions &= !SET_ID;
            }
            let mode = Mode::from_raw_mode(permissions.into());
            fs::chmod(&*path, mode).map_err(|error| Trouble::write("set its mode", error))?;
        }
        let times = Timestamps { last_access: timespec(node.accessed()), last_modification: timespec(node.modified()) };
        fs::utimensat(CWD, &*path, &times, AtFlags::empty()).map_err(|error| Trouble::write("set its times", error))?;
        xattrs.map(|_| ()).map_err(Trouble::from)
    }
}

fn timespec(time: Time) -> Timespec {
    Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() }
}
