//! The job's disks: whether each is fit, what it holds, and whether a freeze of that can be proven.

use fsprobe::Kind;

use super::finding::{Check, Finding, Weight};
use super::seen::Seen;
use crate::backup::placement::{Placed, Seems};
use crate::backup::proof::keeps_no_proof;
use crate::backup::survey::{DiskSurvey, refuse_without_filesystem};
use crate::grade::Grade;

pub fn check(seen: &Seen, placed: &[Placed]) -> Vec<Finding> {
    let mut found: Vec<Finding> = seen
        .unfit
        .iter()
        .map(|(name, cause)| {
            let finding = Finding::failed(Check::Disks, cause);
            let named = finding.what.contains(&name.to_string());
            if named { finding } else { Finding { what: format!("{name}: {}", finding.what), ..finding } }
        })
        .collect();
    if seen.unfit.is_empty()
        && let Err(cause) = refuse_without_filesystem(&seen.survey.disks)
    {
        found.push(Finding::failed(Check::Disks, &cause));
    }
    for disk in &seen.survey.disks {
        found.extend(unproven(disk, seen, placed));
        found.extend(remarks(disk, seen));
        let origin = &disk.origin;
        let volumes: Vec<String> =
            disk.layout.volumes.iter().map(|volume| format!("{} {}", volume.path, volume.kind)).collect();
        let holds = if volumes.is_empty() { "nothing that is known here".to_owned() } else { volumes.join(", ") };
        found.push(Finding::fine(
            Check::Disks,
            format!(
                "{}: {}, {}, holding {holds}; LVM makes snapshots of such",
                origin.name, origin.size, origin.layout
            ),
        ));
    }
    found
}

/// Volumes whose freeze nothing would prove: the image is then at best of grade `crash`.
fn unproven(disk: &DiskSurvey, seen: &Seen, placed: &[Placed]) -> Vec<Finding> {
    if seen.survey.is_off {
        return Vec::new();
    }
    let has_markers = seen.survey.places.is_ok();
    let is_doubtful =
        |volume: &&fsprobe::Volume| keeps_no_proof(volume.kind) || volume.kind == Kind::Ext2 && !has_markers;
    let doubtful = disk.layout.volumes.iter().filter(is_doubtful);
    doubtful
        .map(|volume| {
            let name = &disk.origin.name;
            let what = format!(
                "{name} volume {} is {}: a freeze of it cannot be proven from its bytes",
                volume.path, volume.kind
            );
            let is_it = |one: &Placed| match &one.seems {
                Seems::On(on) => on.origin == *name && on.volume == volume.path,
                Seems::NotHere | Seems::Unknown => true,
                Seems::LeftOut | Seems::Exempt(_) => false,
            };
            if has_markers
                && seen.survey.places.as_ref().is_ok_and(|places| places.on_untold_devices.is_empty())
                && !placed.iter().any(is_it)
            {
                return Finding::note(Check::Disks, what)
                    .because("every filesystem that the guest can write to seems to be elsewhere");
            }
            Finding::at_best(Check::Disks, Grade::Crash, what)
                .because("it may be a filesystem that the guest writes to")
                .remedy(
                    "keep the database on ext4 or XFS, on a disk, a partition or LVM; or accept grade `crash` \
                     with --require crash",
                )
        })
        .collect()
}

fn remarks(disk: &DiskSurvey, seen: &Seen) -> Vec<Finding> {
    let origin = &disk.origin;
    let mut found = Vec::new();
    if let Some(pool) = &origin.pool {
        found.push(
            Finding::note(Check::Disks, format!("{} is a thin volume, in the pool {pool}", origin.name)).because(
                "while its snapshot is attached and removed LVM suspends the whole pool for a moment, and every \
                 guest on it",
            ),
        );
    }
    if !origin.open && !seen.survey.is_off {
        found.push(
            Finding::new(Check::Disks, Weight::Note, format!("{} is open nowhere on this host", origin.name))
                .because("it is not the disk of a VM that runs here")
                .remedy("`virsh domblklist VM` or `qm config ID` names the VM's disks"),
        );
    }
    found
}
