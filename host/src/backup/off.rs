//! A VM that is off: whether its filesystems were unmounted and its databases shut down, by the bytes.

use fsprobe::ext4::{self, FileType, Filesystem, files::Node};
use fsprobe::{Kind, ReadAt, Severity, Verdict, VolumeReport, is_boot_code, redo};

use super::disk::{Disk, Proven};
use super::evidence::Evidence;
use super::grading::{Doubt, Graded, damage, weigh};
use super::plan::Plan;
use crate::ask::connect::World;
use crate::blocking::blocking;
use crate::grade::{Grade, Indication};

/// A database in a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDatabase {
    /// Where it is: disk, volume and folder.
    pub place: String,
    /// Whether its redo log says that it was shut down; or why that is not known.
    pub is_shut_down: Result<bool, String>,
}

/// What was found of databases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Databases {
    /// Each of them.
    pub found: Vec<FoundDatabase>,
    /// Volumes that were not searched to the end, and why.
    pub unsearched: Vec<String>,
}

/// A data directory of a package is three folders deep, one of a container eight.
const MAX_DEPTH: usize = 8;
/// As many folders as are looked into of a volume.
const MAX_FOLDERS: usize = 50_000;
/// As many entries of all of them: the inode of each is read.
const MAX_ENTRIES: usize = 2_000_000;

/// The InnoDB of MariaDB since 10.8, and of all older servers.
const REDO_FILE: &[u8] = b"ib_logfile0";
/// The InnoDB of MySQL since 8.0.30.
const REDO_FOLDER: &[u8] = b"#innodb_redo";

/// Looks into the snapshots, and once more at the disks.
#[must_use]
pub fn look(plan: &Plan, world: &World, disks: &[Disk<Proven>]) -> Off {
    // Whoever cannot tell is no proof.
    let is_closed = |disk: &Disk<Proven>| world.lvm.origin(disk.origin()).is_ok_and(|origin| !origin.open);
    blocking(|| Off {
        databases: search(disks),
        has_database: plan.has_database,
        still_off: disks.iter().all(is_closed),
    })
}

/// Looks for databases in every volume whose folders can be read.
#[must_use]
pub fn search(disks: &[Disk<Proven>]) -> Databases {
    let mut databases = Databases::default();
    for disk in disks {
        let Proven { device, layout, .. } = &disk.stage;
        for volume in &layout.volumes {
            let name = format!("{} volume {}", disk.origin(), volume.path);
            match volume.kind {
                kind if kind.is_ext() => {
                    if let Err(why) = search_ext(&volume.open(device), &name, &mut databases.found) {
                        databases.unsearched.push(format!("{name}: {why}"));
                    }
                }
                Kind::Xfs
                | Kind::Btrfs
                | Kind::Luks
                | Kind::LinuxRaid
                | Kind::Ntfs
                | Kind::Unknown
                | Kind::Other(_) => {
                    databases.unsearched.push(format!("{name}: the folders of {} are not read here", volume.kind));
                }
                _ => {}
            }
        }
    }
    databases
}

fn search_ext(volume: &dyn ReadAt, name: &str, found: &mut Vec<FoundDatabase>) -> Result<(), String> {
    let opened = ext4::open(volume).map_err(|error| error.to_string())?;
    let filesystem = opened.filesystem().filter(|_| opened.is_interpretable()).ok_or("it cannot be read")?;
    let root = filesystem.root().map_err(|fault| fault.to_string())?;
    let mut ahead = vec![(String::new(), root, 0)];
    let (mut folders, mut entries) = (0, 0);
    while let Some((path, folder, depth)) = ahead.pop() {
        folders += 1;
        if folders > MAX_FOLDERS {
            return Err(format!("it has more than {MAX_FOLDERS} folders"));
        }
        for entry in filesystem.entries(&folder).map_err(|fault| fault.to_string())? {
            let entry = entry.map_err(|fault| fault.to_string())?;
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(format!("its folders have more than {MAX_ENTRIES} entries"));
            }
            let node = filesystem.node(entry.inode).map_err(|fault| fault.to_string())?;
            match node.file_type {
                FileType::Regular if entry.name == REDO_FILE => found.push(FoundDatabase {
                    place: format!("{name}, {path}/"),
                    is_shut_down: is_shut_down(&filesystem, &node),
                }),
                FileType::Directory if entry.name == REDO_FOLDER => found.push(FoundDatabase {
                    place: format!("{name}, {path}/"),
                    is_shut_down: Err("the redo log of MySQL 8.0.30 and later is not read here".to_owned()),
                }),
                FileType::Directory if depth < MAX_DEPTH => {
                    let name = String::from_utf8_lossy(&entry.name).escape_debug().to_string();
                    ahead.push((format!("{path}/{name}"), node, depth + 1));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn is_shut_down(filesystem: &Filesystem<'_>, node: &Node) -> Result<bool, String> {
    let content = filesystem.content(node).map_err(|fault| fault.to_string())?;
    redo::read(&content).map(|log| log.is_clean()).map_err(|error| error.to_string())
}

/// What is known of a VM that was off when it was surveyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Off {
    /// What was found of databases in the snapshots.
    pub databases: Databases,
    /// Whether one is configured.
    pub has_database: bool,
    /// Whether nobody had opened its disks when the snapshots were there.
    pub still_off: bool,
}

/// Grades the image of a VM that is off.
#[must_use]
pub fn grade_off(disks: &[Evidence<'_>], off: &Off) -> Graded {
    let Off { databases, has_database, still_off } = off;
    let mut doubts = damage(disks);
    let mut doubt = |at_best, indication, text: String| doubts.push(Doubt { at_best, indication, text });
    if !*still_off {
        let text = "a disk of the VM was opened before its snapshot was there: was the VM started?".to_owned();
        doubt(Grade::Crash, Indication::NotUnmounted, text);
    }
    for disk in disks {
        for volume in &disk.report.volumes {
            let name = format!("{} volume {}", disk.origin, volume.path);
            match unmounted(volume) {
                Unmounted::Yes => {}
                Unmounted::No => {
                    doubt(
                        Grade::Crash,
                        Indication::NotUnmounted,
                        format!("{name} ({}) was not unmounted", volume.kind),
                    );
                }
                Unmounted::Asleep => doubt(
                    Grade::Crash,
                    Indication::NotUnmounted,
                    format!(
                        "{name} ({}) holds the memory of a hibernated system, which has its filesystems mounted",
                        volume.kind
                    ),
                ),
                Unmounted::Unknown => doubt(
                    Grade::Filesystem,
                    Indication::QuiesceNotProven,
                    format!("whether {name} ({}) was unmounted cannot be told from its bytes", volume.kind),
                ),
            }
        }
    }
    for disk in disks {
        for finding in disk.report.findings.iter().filter(|finding| finding.severity == Severity::Unknown) {
            let text = format!("{}: {} ({})", disk.origin, finding.detail, finding.code);
            doubt(Grade::Filesystem, Indication::QuiesceNotProven, text);
        }
    }
    for FoundDatabase { place, is_shut_down } in &databases.found {
        match is_shut_down {
            Ok(true) => {}
            Ok(false) => doubt(
                Grade::Filesystem,
                Indication::DatabaseNotShutDown,
                format!("the database in {place} was not shut down: its log has to be recovered"),
            ),
            Err(why) => doubt(
                Grade::Filesystem,
                Indication::DatabaseNotShutDown,
                format!("whether the database in {place} was shut down is not known: {why}"),
            ),
        }
    }
    if *has_database {
        if databases.found.is_empty() && databases.unsearched.is_empty() {
            doubt(Grade::Filesystem, Indication::DatabaseNotInImage, "no InnoDB was found on these disks".to_owned());
        }
        for why in &databases.unsearched {
            let text = format!("whether a database was shut down cannot be seen on {why}");
            doubt(Grade::Filesystem, Indication::DatabaseNotShutDown, text);
        }
    }
    weigh(Grade::Clean, doubts)
}

enum Unmounted {
    Yes,
    No,
    Asleep,
    Unknown,
}

fn unmounted(volume: &VolumeReport) -> Unmounted {
    let is_consistent = volume.verdict == Verdict::Consistent;
    match (volume.kind, &volume.ext4) {
        (Kind::Ext2 | Kind::Ext3 | Kind::Ext4, Some(ext4)) => {
            // A frozen one has what an unmounted one has, but for files that were deleted while they were open.
            let is_empty = !ext4.needs_recovery && ext4.journal_start == 0 && ext4.orphans == 0;
            if is_consistent && is_empty { Unmounted::Yes } else { Unmounted::No }
        }
        (Kind::Ext2 | Kind::Ext3 | Kind::Ext4, None) => Unmounted::Unknown,
        (Kind::Xfs | Kind::Ntfs, _) => {
            if is_consistent {
                Unmounted::Yes
            } else {
                Unmounted::No
            }
        }
        (Kind::Unknown, _) if volume.partition_type.as_deref().is_some_and(is_boot_code) => Unmounted::Yes,
        (Kind::Swap, _) if volume.findings.iter().any(|finding| finding.code == "swap-hibernated") => Unmounted::Asleep,
        // Of a physical volume whose group cannot be read no logical volume is listed.
        (Kind::Fat | Kind::Exfat | Kind::Lvm2Pv, _) if !is_consistent => Unmounted::Unknown,
        (Kind::Luks | Kind::Btrfs | Kind::LinuxRaid | Kind::Other(_) | Kind::Unknown, _) => Unmounted::Unknown,
        _ => Unmounted::Yes,
    }
}

#[cfg(test)]
mod tests;
