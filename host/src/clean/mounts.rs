//! What is mounted where, in every mount namespace that /proc shows.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::processes::{MAX_PROCESSES, Process, folders, namespace};
use super::roots::{Roots, read};

/// Mounts that are looked at, over all namespaces.
const MAX_MOUNTS: usize = 1 << 17;

/// A mount, as proc_pid_mountinfo(5) has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its id, which no other mount has as long as it is there.
    pub id: u64,
    /// The id of the mount that it is mounted in.
    pub parent: u64,
    /// The number of its device, `254:7`; not of one for filesystems of several devices, as Btrfs.
    pub number: String,
    /// Where, as those in its namespace see it.
    pub mountpoint: PathBuf,
    /// The filesystem.
    pub fs_type: String,
    /// What was mounted: `/dev/mapper/vg-snap1`.
    pub source: String,
    /// Whose mount namespace it is in, where that is not ours.
    pub within: Option<Process>,
}

/// Every mount of every namespace, those of ours first and in the kernel's order: a later one lies over an earlier one.
pub(super) fn mounts(roots: &Roots) -> Vec<Mount> {
    let ours = namespace(&roots.proc.join("self"));
    let mut found = own(roots);
    let mut looked_at = BTreeSet::from([ours]);
    for folder in folders(roots).into_iter().take(MAX_PROCESSES) {
        if found.len() >= MAX_MOUNTS || !looked_at.insert(namespace(&folder)) {
            continue;
        }
        let Some(process) = Process::of(roots, &folder) else { continue };
        let within = parse(&read(&folder.join("mountinfo")));
        found.extend(within.into_iter().map(|mount| Mount { within: Some(process.clone()), ..mount }));
    }
    found.truncate(MAX_MOUNTS);
    found
}

/// The mounts of our own namespace.
pub(super) fn own(roots: &Roots) -> Vec<Mount> {
    parse(&read(&roots.proc.join("self/mountinfo")))
}

fn parse(mountinfo: &[u8]) -> Vec<Mount> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

/// `27 21 254:6 / /run/m ro,relatime shared:1 - ext2 /dev/mapper/vg-snap ro`: between options and dash there may be more fields.
fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let text = |index: usize| Some(String::from_utf8_lossy(&unescaped(fields.get(index)?)).into_owned());
    let mountpoint = PathBuf::from(OsString::from_vec(unescaped(fields.get(4)?)));
    let (id, parent) = (text(0)?.parse().ok()?, text(1)?.parse().ok()?);
    let (fs_type, source) = (text(dash + 1)?, text(dash + 2)?);
    Some(Mount { id, parent, number: text(2)?, mountpoint, fs_type, source, within: None })
}

/// With `\040` and its like as the bytes that they stand for.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, behind)) = rest.split_first() {
        let octal = behind.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| byte == b'\\') {
            Some(value) => {
                bytes.push(value);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    const OURS: &str = "21 1 0:20 / / ro - hostfs none ro\n\
                        27 21 254:7 / /mnt/a\\040b ro,relatime shared:1 master:2 - ext4 /dev/mapper/vg-snap1 ro\n";

    fn process(roots: &Roots, pid: &str, namespace: &str, mountinfo: &str) {
        let folder = roots.proc.join(pid);
        fs::create_dir_all(folder.join("ns")).unwrap();
        symlink(namespace, folder.join("ns/mnt")).unwrap();
        fs::write(folder.join("mountinfo"), mountinfo).unwrap();
        fs::write(folder.join("comm"), "sleep\n").unwrap();
    }

    #[test]
    fn each_namespace_is_looked_at_once_and_another_one_is_named_by_a_process_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { proc: folder.path().to_owned(), sys: folder.path().join("sys") };
        process(&roots, "self", "mnt:[1]", OURS);
        process(&roots, "7", "mnt:[1]", OURS);
        process(&roots, "8", "mnt:[2]", "90 80 254:7 / /x rw - ext4 /dev/mapper/vg-snap1 rw\n");
        process(&roots, "9", "mnt:[2]", "90 80 254:7 / /x rw - ext4 /dev/mapper/vg-snap1 rw\n");
        let found = mounts(&roots);
        let [root, snap, other] = &found[..] else { panic!("{found:?}") };
        assert_eq!((root.id, &*root.fs_type, &root.within), (21, "hostfs", &None));
        assert_eq!((snap.id, snap.parent, &*snap.number), (27, 21, "254:7"));
        assert_eq!((snap.mountpoint.as_path(), &*snap.source), (Path::new("/mnt/a b"), "/dev/mapper/vg-snap1"));
        assert_eq!(other.within.as_ref().map(|process| (process.pid, &*process.command)), Some((8, "sleep")));
    }

    #[test]
    fn what_is_no_mount_is_passed_over() {
        for line in ["", "21", "x 1 0:20 / / ro - a b c", "21 1 0:20 / / ro a b c", "21 1 0:20 / / ro -"] {
            assert_eq!(parse(line.as_bytes()), [], "{line}");
        }
    }
}
