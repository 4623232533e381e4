//! Block devices that are no mapped ones and lie on one: loop devices, their partitions, and others such as md.

use std::path::Path;

use super::roots::{Roots, entries, name_of, read_text};

/// Loop devices that are looked at.
const MAX_LOOPS: usize = 4096;

/// A block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The kernel's name: `loop0`, `loop0p1`, `md0`.
    pub name: String,
    /// Its number, `7:0`.
    pub number: String,
    /// What it is, and what it lies on.
    pub kind: BlockKind,
}

/// What kind of device it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// A loop device over this file: `/dev/dm-6`.
    Loop {
        /// The path as the kernel has it.
        backing: String,
    },
    /// A partition of the device of this number.
    Partition {
        /// The number.
        of: String,
    },
    /// Something else on top of the device of this number.
    Other {
        /// The number.
        on: String,
    },
}

/// Every loop device that has a file, their partitions, and what else lies on a device of `numbers`.
pub(super) fn blocks(roots: &Roots, numbers: &[&str]) -> Vec<Block> {
    let folders = entries(&roots.sys.join("block")).into_iter().filter(|path| name_of(path).starts_with("loop"));
    let mut found: Vec<Block> = folders.take(MAX_LOOPS).flat_map(|folder| loop_device(&folder)).collect();
    let of_loops: Vec<String> = found.iter().map(|block| block.number.clone()).collect();
    for number in numbers.iter().copied().chain(of_loops.iter().map(String::as_str)) {
        found.extend(others(roots, number));
    }
    found
}

/// A loop device of which this is the folder, and its partitions.
fn loop_device(folder: &Path) -> Vec<Block> {
    let (backing, number) = (read_text(&folder.join("loop/backing_file")), read_text(&folder.join("dev")));
    if backing.is_empty() || number.is_empty() {
        return Vec::new();
    }
    let name = name_of(folder);
    let partitions =
        entries(folder).into_iter().filter(|path| name_of(path).starts_with(&name) && path.join("partition").exists());
    let partitions: Vec<Block> = partitions
        .map(|path| {
            let kind = BlockKind::Partition { of: number.clone() };
            Block { name: name_of(&path), number: read_text(&path.join("dev")), kind }
        })
        .collect();
    let mut all = vec![Block { name, number, kind: BlockKind::Loop { backing } }];
    all.extend(partitions);
    all
}

/// The holders of a device that device-mapper does not know.
fn others(roots: &Roots, number: &str) -> Vec<Block> {
    let holders = entries(&roots.sys.join("dev/block").join(number).join("holders"));
    let names = holders.iter().map(|path| name_of(path)).filter(|name| !name.starts_with("dm-"));
    names
        .map(|name| {
            let its = read_text(&roots.sys.join("block").join(&name).join("dev"));
            Block { name, number: its, kind: BlockKind::Other { on: number.to_owned() } }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(file: std::path::PathBuf, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// As Linux 6.1 shows a loop device with a partition over a snapshot, one without a file, and an array on a mapping.
    #[test]
    fn loop_devices_are_found_with_what_they_lie_on_and_their_partitions() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { proc: folder.path().join("proc"), sys: folder.path().join("sys") };
        write(roots.sys.join("block/loop0/dev"), "7:0\n");
        write(roots.sys.join("block/loop0/loop/backing_file"), "/dev/dm-6\n");
        write(roots.sys.join("block/loop0/loop0p1/dev"), "259:0\n");
        write(roots.sys.join("block/loop0/loop0p1/partition"), "1\n");
        write(roots.sys.join("block/loop0/holders/x"), "");
        write(roots.sys.join("block/loop1/dev"), "7:1\n");
        write(roots.sys.join("block/md0/dev"), "9:0\n");
        write(roots.sys.join("dev/block/254:6/holders/md0"), "");
        write(roots.sys.join("dev/block/254:6/holders/dm-7"), "");
        let block = |name: &str, number: &str, kind| Block { name: name.into(), number: number.into(), kind };
        assert_eq!(
            blocks(&roots, &["254:6"]),
            [
                block("loop0", "7:0", BlockKind::Loop { backing: "/dev/dm-6".into() }),
                block("loop0p1", "259:0", BlockKind::Partition { of: "7:0".into() }),
                block("md0", "9:0", BlockKind::Other { on: "254:6".into() }),
            ]
        );
    }
}
