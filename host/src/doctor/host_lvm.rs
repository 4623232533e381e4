//! This host's LVM: its version, and what its configuration has it do by itself.

use super::finding::{Check, Finding, Weight};
use super::seen::Seen;

pub fn check(seen: &Seen) -> Vec<Finding> {
    let mut found = vec![match &seen.lvm {
        Ok(version) => match &version.driver {
            Some(driver) => Finding::fine(Check::Lvm, format!("LVM {}, device-mapper {driver}", version.lvm)),
            None => Finding::stops(Check::Lvm, format!("LVM {}, and the kernel has no device-mapper", version.lvm))
                .remedy("`modprobe dm_mod dm_snapshot`; a container sees none of its host's"),
        },
        Err(why) => Finding::unseen(Check::Lvm, Weight::Note, format!("which LVM this is: {why}")),
    }];
    found.push(match &seen.scans_volumes {
        Ok(false) => Finding::fine(Check::Lvm, "LVM does not look into the guests' disks (devices/scan_lvs is 0)"),
        Ok(true) => Finding::note(Check::Lvm, "LVM looks into the guests' disks (devices/scan_lvs is 1)")
            .because(
                "volume groups that guests have made show up as this host's own: it may activate them while the \
                 guest writes to them, \
                 and takes a snapshot of such a disk for the same group once more",
            )
            .remedy("set devices/scan_lvs to 0 in /etc/lvm/lvm.conf"),
        Err(why) => Finding::unseen(Check::Lvm, Weight::Note, format!("devices/scan_lvs: {why}")),
    });
    found.push(match &seen.monitoring {
        Ok(monitoring) if monitoring.is_on && monitoring.threshold_percent < 100 => {
            let percent = monitoring.threshold_percent;
            Finding::note(Check::Lvm, format!("dmeventd extends snapshots that are {percent} % full"))
                .because(
                    "not those of a backup: they are made without monitoring, because dmeventd looks every 10 s \
                     only, and unmounts \
                     what is mounted from one that overflows. Their COW has to outlast the copy by its size",
                )
                .remedy("set cow_size by what the guest writes during a copy: the receipt has it, under `cow`")
        }
        Ok(_) => Finding::fine(
            Check::Lvm,
            "no snapshot is extended by itself \
             (activation/snapshot_autoextend_threshold is 100, or monitoring off): a \
             COW is as large as it was made",
        ),
        Err(why) => Finding::unseen(
            Check::Lvm,
            Weight::Note,
            format!(
                "activation/snapshot_autoextend_threshold: \
                 {why}"
            ),
        ),
    });
    found
}
