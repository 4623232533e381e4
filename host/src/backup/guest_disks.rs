//! Which of the guest's disks no disk of the job holds, by what its agent says of its mounts. Pure.
//!
//! The agent names a disk by its place on the guest's buses, and this host's volumes have no such name. So each of the
//! guest's disks is given one of the job's that could be it, by kind and size of what is mounted from it, as many as can be
//! at once: what is left over lies on no disk of the job for certain. The reverse does not hold: what was matched may still
//! be another VM's.

use std::collections::BTreeMap;

use fsprobe::{Kind, Volume};
use guest_bridge::agent::{Disk, Filesystem};
use lvm::Bytes;

use super::survey::DiskSurvey;

/// A disk of the guest, and what is mounted from it alone.
struct GuestDisk<'f> {
    mounts: Vec<&'f Filesystem>,
}

/// A sentence for each disk of the guest that no disk of the job can be.
pub fn on_no_disk<'f>(filesystems: impl IntoIterator<Item = &'f Filesystem>, job: &[DiskSurvey]) -> Vec<String> {
    let guest = guest_disks(filesystems);
    let could_be: Vec<Vec<usize>> = guest
        .iter()
        .map(|disk| (0..).zip(job).filter(|(_, candidate)| disk.could_be(candidate)).map(|(index, _)| index).collect())
        .collect();
    let matched = matching(&could_be, job.len());
    guest.iter().zip(matched).filter(|(_, matched)| !matched).map(|(disk, _)| disk.missing()).collect()
}

/// Filesystems over several disks (LVM, RAID in the guest) say too little of each; loop devices have no disk; and where an
/// agent knows no address, nothing can be told apart.
fn guest_disks<'f>(filesystems: impl IntoIterator<Item = &'f Filesystem>) -> Vec<GuestDisk<'f>> {
    let mut disks: BTreeMap<String, GuestDisk<'f>> = BTreeMap::new();
    for filesystem in filesystems {
        let [disk] = &*filesystem.disks else { continue };
        let Some(address) = address(disk) else { continue };
        disks.entry(address).or_insert_with(|| GuestDisk { mounts: Vec::new() }).mounts.push(filesystem);
    }
    disks.into_values().collect()
}

/// Where a disk is on the guest's buses; the agent writes -1 for what it does not know.
fn address(disk: &Disk) -> Option<String> {
    let pci = disk.pci_controller.filter(|pci| pci.slot >= 0)?;
    let part = |number: Option<i64>| number.unwrap_or_default();
    Some(format!("{pci:?} {} {} {}", part(disk.bus), part(disk.target), part(disk.unit)))
}

impl GuestDisk<'_> {
    fn could_be(&self, disk: &DiskSurvey) -> bool {
        self.mounts.iter().all(|mount| disk.layout.volumes.iter().any(|volume| could_hold(volume, mount)))
    }

    fn missing(&self) -> String {
        let mounts = self.mounts.iter().map(|mount| {
            let size = mount.total_bytes.map(|bytes| format!(", {}", Bytes(bytes))).unwrap_or_default();
            format!("{} ({}{size})", mount.mountpoint.escape_default(), mount.fs_type.escape_default())
        });
        format!(
            "no disk of this job can be the guest's disk with {}: what the database keeps there is in no image, and the \
             backup is at best of grade `filesystem`; name that disk, too",
            mounts.collect::<Vec<_>>().join(", ")
        )
    }
}

/// A filesystem is no larger than what it lies in, and of the kind that its superblock says. What cannot be looked into may
/// hold anything.
fn could_hold(volume: &Volume, mount: &Filesystem) -> bool {
    let is_opaque = matches!(volume.kind, Kind::Luks | Kind::LinuxRaid | Kind::Btrfs | Kind::Lvm2Pv | Kind::Unknown);
    let is_kind = match &*mount.fs_type {
        "ext2" | "ext3" | "ext4" => volume.kind.is_ext(),
        "xfs" => volume.kind == Kind::Xfs,
        "vfat" => volume.kind == Kind::Fat,
        _ => true,
    };
    (is_kind || is_opaque) && mount.total_bytes.unwrap_or_default() <= volume.size_bytes()
}

/// Which rows of `could_be` get a column of their own where as many as possible do: augmenting paths (Kuhn).
fn matching(could_be: &[Vec<usize>], columns: usize) -> Vec<bool> {
    let mut taken_by: Vec<Option<usize>> = vec![None; columns];
    for row in 0..could_be.len() {
        give(row, could_be, &mut taken_by, &mut vec![false; columns]);
    }
    (0..could_be.len()).map(|row| taken_by.contains(&Some(row))).collect()
}

/// Gives `row` a column; whoever has it gets another, where there is one. No deeper than there are columns.
fn give(row: usize, could_be: &[Vec<usize>], taken_by: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    for &column in could_be.get(row).into_iter().flatten() {
        if std::mem::replace(&mut seen[column], true) {
            continue;
        }
        if taken_by[column].is_none_or(|other| give(other, could_be, taken_by, seen)) {
            taken_by[column] = Some(row);
            return true;
        }
    }
    false
}
