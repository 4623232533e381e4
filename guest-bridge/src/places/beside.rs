//! What the guest has mounted beside its filesystems on block devices: from servers and programs, and the same once more.

use std::collections::BTreeSet;

use super::mountinfo::Line;

/// Kernel filesystems whose files are another machine's.
const OF_SERVERS: [&str; 9] = ["9p", "afs", "ceph", "cifs", "lustre", "nfs", "nfs4", "smb3", "virtiofs"];

/// A filesystem that another machine or a program keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Where it is mounted.
    pub mountpoint: String,
    /// Its type, as the kernel calls it: `nfs4`, `fuse.sshfs`.
    pub fs_type: String,
    /// What it was mounted from.
    pub source: String,
}

/// Those from other machines (NFS, SMB, Ceph), from the host (9p, virtiofs) and from programs (FUSE).
pub(super) fn served(table: &[Line]) -> Vec<Served> {
    let is_one = |line: &&Line| {
        let fs_type = line.fs_type.as_str();
        OF_SERVERS.contains(&fs_type) || fs_type == "fuse" || fs_type == "fuseblk" || fs_type.starts_with("fuse.")
    };
    let served = |line: &Line| Served {
        mountpoint: line.mountpoint.to_string_lossy().into_owned(),
        fs_type: line.fs_type.clone(),
        source: line.source.clone(),
    };
    table.iter().filter(is_one).map(served).collect()
}

/// Where filesystems on block devices are mounted a second time, whole or in part.
pub(super) fn mounted_again(table: &[Line]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let again = table.iter().filter(|line| line.is_on_a_device() && !known.insert(line.device));
    again.map(|line| line.mountpoint.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Vec<Line> {
        text.lines().map(|line| Line::parse(line.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn what_servers_and_programs_keep_is_told_and_what_the_kernel_makes_up_is_not() {
        let text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / /home rw - nfs4 store:/home rw\n\
                    3 1 0:41 / /mnt rw - fuse.sshfs a@b: rw\n4 1 0:42 / /sys/fs/fuse/connections rw - fusectl fusectl rw\n\
                    5 1 0:43 / /tmp rw - tmpfs tmpfs rw";
        let told: Vec<_> =
            served(&table(text)).into_iter().map(|one| (one.mountpoint, one.fs_type, one.source)).collect();
        let expected = [("/home", "nfs4", "store:/home"), ("/mnt", "fuse.sshfs", "a@b:")];
        assert_eq!(told, expected.map(|(at, fs_type, from)| (at.to_owned(), fs_type.to_owned(), from.to_owned())));
    }

    #[test]
    fn a_filesystem_that_is_mounted_twice_is_told_once_less() {
        let text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:1 /a /a rw - ext4 /dev/sda1 rw\n\
                    3 1 8:1 /b /b rw - ext4 /dev/sda1 rw\n4 1 0:43 / /tmp rw - tmpfs tmpfs rw\n\
                    5 1 0:43 / /var/tmp rw - tmpfs tmpfs rw";
        assert_eq!(mounted_again(&table(text)), ["/a", "/b"]);
    }
}
