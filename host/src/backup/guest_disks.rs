//! Which of the guest's disks no disk of the job holds, by what its agent says of its mounts. Pure.
//!
//! The agent names a disk by its place on the guest's buses, and this host's volumes have no such name. So each of the
//! guest's disks is given one of the job's that could be it, by kind and size of what is mounted from it, as many as can be
//! at once. Whatever is left over, as many of the guest's disks lie on no disk of the job for certain; which they are, only
//! where no disk of the job could be them. The reverse does not hold: what was matched may still be another VM's.

use std::collections::{BTreeMap, BTreeSet};

use fsprobe::Kind;
use guest_bridge::agent::{Disk, Filesystem};
use lvm::Bytes;

use super::disk::{DiskPlan, PlannedVolume};

/// A disk of the guest.
#[derive(Default)]
struct GuestDisk<'f> {
    /// What is mounted from it alone.
    mounts: Vec<&'f Filesystem>,
    /// What lies on others, too (LVM, RAID in the guest): that says too little of any of them.
    parts: Vec<&'f Filesystem>,
}

/// A sentence for each disk of the guest that no disk of the job can be, or is left for; or that nothing can be said.
pub fn on_no_disk<'f>(filesystems: impl IntoIterator<Item = &'f Filesystem>, job: &[DiskPlan]) -> Vec<String> {
    let filesystems: Vec<&Filesystem> = filesystems.into_iter().collect();
    let guest = guest_disks(filesystems.iter().copied());
    if guest.is_empty() && filesystems.iter().any(|filesystem| !filesystem.disks.is_empty()) {
        let unknown =
            "whether the guest has disks that this job does not name cannot be seen: its agent knows no address of any";
        return vec![unknown.to_owned()];
    }
    let could_be: Vec<Vec<usize>> = guest
        .iter()
        .map(|disk| (0..).zip(job).filter(|(_, candidate)| disk.could_be(candidate)).map(|(index, _)| index).collect())
        .collect();
    let matched = matching(&could_be, job.len());
    let told = guest.iter().zip(&could_be).zip(matched).filter(|(_, matched)| !matched);
    told.map(|((disk, could_be), _)| disk.missing(could_be.is_empty())).collect()
}

/// Loop devices have no disk; and where an agent knows no address, nothing can be told apart.
fn guest_disks<'f>(filesystems: impl IntoIterator<Item = &'f Filesystem>) -> Vec<GuestDisk<'f>> {
    let mut disks: BTreeMap<String, GuestDisk<'f>> = BTreeMap::new();
    for filesystem in filesystems {
        let addresses: BTreeSet<String> = filesystem.disks.iter().filter_map(address).collect();
        let is_alone = filesystem.disks.len() == 1;
        for address in addresses {
            let disk = disks.entry(address).or_default();
            if is_alone { disk.mounts.push(filesystem) } else { disk.parts.push(filesystem) }
        }
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
    fn could_be(&self, disk: &DiskPlan) -> bool {
        self.mounts.iter().all(|mount| disk.volumes.iter().any(|volume| could_hold(volume, mount)))
    }

    /// `is_certain`: no disk of the job could be this one. Else others of the guest have those that could.
    fn missing(&self, is_certain: bool) -> String {
        let mounts = self.mounts.iter().chain(&self.parts).map(|mount| {
            let size = mount.total_bytes.map(|bytes| format!(", {}", Bytes(bytes))).unwrap_or_default();
            format!("{} ({}{size})", mount.mountpoint.escape_default(), mount.fs_type.escape_default())
        });
        let mounts = mounts.collect::<Vec<_>>().join(", ");
        let which = if is_certain {
            format!("no disk of this job can be the guest's disk with {mounts}")
        } else {
            format!("no disk of this job is left for the guest's disk with {mounts}, or for one that looks like it")
        };
        format!(
            "{which}: what the database keeps there is in no image, and the backup is at best of grade `filesystem`; name \
             that disk, too"
        )
    }
}

/// A filesystem is no larger than what it lies in, and of the kind that its superblock says. What cannot be looked into may
/// hold anything.
fn could_hold(volume: &PlannedVolume, mount: &Filesystem) -> bool {
    let is_opaque = matches!(
        volume.kind,
        Kind::Luks | Kind::LinuxRaid | Kind::Btrfs | Kind::Lvm2Pv | Kind::Other(_) | Kind::Unknown
    );
    let is_kind = match &*mount.fs_type {
        "ext2" | "ext3" | "ext4" => volume.kind.is_ext(),
        "xfs" => volume.kind == Kind::Xfs,
        "vfat" => volume.kind == Kind::Fat,
        _ => true,
    };
    (is_kind || is_opaque) && mount.total_bytes.unwrap_or_default() <= volume.size_bytes
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

#[cfg(test)]
mod tests {
    use guest_bridge::agent::PciAddress;
    use lvm::{Origin, VolumeGroup};

    use super::super::cow_plan::CowPlan;
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A filesystem of the guest, on the disk in this PCI slot.
    fn mount(mountpoint: &str, fs_type: &str, slot: i64, total_bytes: u64) -> Filesystem {
        let disk = Disk {
            dev: None,
            serial: None,
            bus_type: Some("virtio".to_owned()),
            bus: Some(0),
            target: Some(0),
            unit: Some(0),
            pci_controller: Some(PciAddress { domain: 0, bus: 0, slot, function: 0 }),
        };
        Filesystem {
            name: "vda1".to_owned(),
            mountpoint: mountpoint.to_owned(),
            fs_type: fs_type.to_owned(),
            disks: vec![disk],
            total_bytes: Some(total_bytes),
            used_bytes: None,
        }
    }

    /// A disk of the job with these volumes.
    fn disk(lv: &str, volumes: &[(Kind, u64)]) -> DiskPlan {
        let planned =
            |&(kind, size_bytes): &(Kind, u64)| PlannedVolume { path: "1".to_owned(), kind, size_bytes, uuid: None };
        let vg = VolumeGroup {
            name: "vg".to_owned(),
            size: Bytes(0),
            free: Bytes(0),
            barred: Bytes(0),
            extent_size: Bytes(4 * MIB),
            volumes_left: None,
            devices: Vec::new(),
        };
        let name = format!("vg/{lv}").parse().unwrap();
        DiskPlan {
            origin: Origin {
                name,
                size: Bytes(1000 * MIB),
                layout: "linear".to_owned(),
                pool: None,
                snapshots: Vec::new(),
                open: true,
                device_path: "/dev/vg/db".into(),
                vg,
            },
            cow: CowPlan::of_no_matter(),
            volumes: volumes.iter().map(planned).collect(),
        }
    }

    #[test]
    fn a_disk_that_nobody_named_is_told_with_its_mounts() {
        let guest = [mount("/", "ext4", 5, 900 * MIB), mount("/srv/data", "ext4", 6, 480 * MIB)];
        let missing = on_no_disk(&guest, &[disk("root", &[(Kind::Ext4, 1000 * MIB)])]);
        assert_eq!(missing.len(), 1);
        assert!(missing[0].contains("/srv/data (ext4, 480 MiB)"), "{missing:?}");
    }

    #[test]
    fn which_of_two_disks_is_missing_is_not_said_where_it_is_not_known() {
        let guest = [mount("/", "ext4", 5, 480 * MIB), mount("/srv/data", "ext4", 6, 480 * MIB)];
        let missing = on_no_disk(&guest, &[disk("data", &[(Kind::Ext4, 500 * MIB)])]);
        assert!(missing[0].contains("or for one that looks like it"), "{missing:?}");
        let missing = on_no_disk(&guest[..1], &[disk("data", &[(Kind::Xfs, 500 * MIB)])]);
        assert!(missing[0].starts_with("no disk of this job can be the guest's disk with / (ext4"), "{missing:?}");
    }

    #[test]
    fn a_guest_whose_disks_are_all_named_misses_none_whatever_their_order() {
        let guest = [mount("/", "ext4", 5, 480 * MIB), mount("/srv/data", "xfs", 6, 480 * MIB)];
        let job = [disk("data", &[(Kind::Xfs, 500 * MIB)]), disk("root", &[(Kind::Ext4, 500 * MIB)])];
        assert_eq!(on_no_disk(&guest, &job), [""; 0]);
    }

    #[test]
    fn a_spare_clean_disk_does_not_stand_in_for_one_that_is_too_large_for_it() {
        let guest = [mount("/", "ext4", 5, 900 * MIB), mount("/srv/data", "ext4", 6, 480 * MIB)];
        let job = [disk("root", &[(Kind::Ext4, 1000 * MIB)]), disk("other", &[(Kind::Ext4, 128 * MIB)])];
        assert!(on_no_disk(&guest, &job)[0].contains("/srv/data"));
    }

    #[test]
    fn a_disk_is_not_used_up_by_one_that_could_have_had_another() {
        // The first could be either; the second only the larger one.
        let guest = [mount("/a", "ext4", 5, 100 * MIB), mount("/b", "ext4", 6, 900 * MIB)];
        let job = [disk("large", &[(Kind::Ext4, 1000 * MIB)]), disk("small", &[(Kind::Ext4, 128 * MIB)])];
        assert_eq!(on_no_disk(&guest, &job), [""; 0]);
    }

    #[test]
    fn filesystems_of_one_disk_have_to_be_on_one_disk_of_the_job() {
        let guest = [mount("/", "ext4", 5, 400 * MIB), mount("/boot/efi", "vfat", 5, 60 * MIB)];
        let together = [disk("root", &[(Kind::Fat, 64 * MIB), (Kind::Ext4, 500 * MIB)])];
        assert_eq!(on_no_disk(&guest, &together), [""; 0]);
        let apart = [disk("efi", &[(Kind::Fat, 64 * MIB)]), disk("root", &[(Kind::Ext4, 500 * MIB)])];
        assert_eq!(on_no_disk(&guest, &apart).len(), 1);
    }

    #[test]
    fn each_disk_below_a_filesystem_of_several_is_looked_for() {
        let (one, other) = (mount("/srv/data", "xfs", 6, 900 * MIB), mount("/srv/data", "xfs", 7, 900 * MIB));
        let striped = Filesystem { disks: [&*one.disks, &*other.disks].concat(), ..one };
        let guest = [mount("/", "ext4", 5, 400 * MIB), striped];
        let job = ["root", "pv0", "pv1"].map(|lv| match lv {
            "root" => disk(lv, &[(Kind::Ext4, 500 * MIB)]),
            _ => disk(lv, &[(Kind::Lvm2Pv, 500 * MIB)]),
        });
        assert_eq!(on_no_disk(&guest, &job), [""; 0]);
        let missing = on_no_disk(&guest, &job[..2]);
        assert!(missing.len() == 1 && missing[0].contains("/srv/data (xfs"), "{missing:?}");
    }

    #[test]
    fn what_cannot_be_looked_into_may_hold_anything() {
        let guest = [mount("/", "ext4", 5, 400 * MIB)];
        assert_eq!(on_no_disk(&guest, &[disk("luks", &[(Kind::Luks, 500 * MIB)])]), [""; 0]);
    }

    #[test]
    fn a_loop_mount_is_on_no_disk_and_is_not_missed() {
        let on_loop = Filesystem { disks: Vec::new(), ..mount("/tmp", "ext4", 5, 64 * MIB) };
        assert_eq!(on_no_disk(&[on_loop], &[]), [""; 0]);
    }

    #[test]
    fn an_agent_that_knows_no_address_is_said_to_know_none() {
        let said = on_no_disk(&[mount("/", "ext4", -1, 900 * MIB)], &[]);
        assert!(said.len() == 1 && said[0].contains("cannot be seen"), "{said:?}");
    }
}
