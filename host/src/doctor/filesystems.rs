//! The guest's filesystems, and where the database keeps what it keeps: what is on no disk of the job, or cannot be frozen.

use guest_bridge::places::{Place, Places};

use super::finding::{Check, Finding, Weight};
use super::seen::Seen;
use crate::ask::job::Job;
use crate::backup::disk::DiskPlan;
use crate::backup::guest_disks::on_no_disk;
use crate::backup::placement::{Placed, Seems};
use crate::grade::Grade;
use crate::show::amount::counted;

/// How many are named of what there may be thousands of.
const NAMED: usize = 5;

pub fn check(job: &Job, seen: &Seen, placed: &[Placed], disks: &[DiskPlan]) -> Vec<Finding> {
    if seen.survey.is_off {
        return Vec::new();
    }
    match &seen.survey.places {
        Ok(places) => of_places(job, places, placed),
        Err(why) => without_places(seen, why, disks),
    }
}

fn of_places(job: &Job, places: &Places, placed: &[Placed]) -> Vec<Finding> {
    let mut found: Vec<Finding> = placed.iter().filter_map(filesystem).collect();
    let is_missing = |one: &Placed| matches!(one.seems, Seems::NotHere);
    let may_be_here = |one: &Placed| matches!(one.seems, Seems::On(_) | Seems::Unknown);
    if placed.iter().any(is_missing) && !placed.iter().any(may_be_here) {
        found.push(
            Finding::at_best(
                Check::Filesystems,
                Grade::Crash,
                "none of the guest's filesystems seems to be on these disks",
            )
            .remedy("look whether they are another VM's: `virsh domblklist VM`, `qm config ID`"),
        );
    }
    found.extend(places.paths.iter().filter_map(|place| directory(place, placed)));
    if places.more {
        let what = "the database's directories have more links and mounts in them than are looked at";
        found.push(
            Finding::at_best(Check::Filesystems, Grade::Filesystem, what)
                .because("whether all it keeps is in the backup cannot be seen"),
        );
    }
    for fs_type in &places.on_untold_devices {
        let what = format!("the guest has {} mounted, which nothing here looks into", fs_type.escape_default());
        found.push(Finding::note(Check::Filesystems, what).because("what is on it is not known to be in the backup"));
    }
    let ignored = job.ignore_mounts.value.iter();
    for path in ignored.filter(|path| places.mounts.iter().all(|mount| mount.mountpoint != **path)) {
        let what = format!("`ignore_mounts` names {}, and nothing is mounted there", path.escape_default());
        found.push(Finding::note(Check::Filesystems, what).remedy("take it out of the configuration"));
    }
    found.extend(without_freeze(placed));
    found.extend(beside(places));
    let here: Vec<String> = placed
        .iter()
        .filter_map(|one| match &one.seems {
            Seems::On(on) => {
                Some(format!("{} is {} volume {}", one.mount.mountpoint.escape_default(), on.origin, on.volume))
            }
            _ => None,
        })
        .collect();
    if !here.is_empty() {
        found.push(Finding::fine(Check::Filesystems, format!("by their UUIDs, {}", named(&here))));
    }
    found
}

/// What is wrong with a filesystem; `None` where nothing is.
fn filesystem(Placed { mount, seems, holds }: &Placed) -> Option<Finding> {
    let name = format!("{} ({}) of the guest", mount.mountpoint.escape_default(), mount.fs_type.escape_default());
    let holds =
        holds.first().map(|first| format!("the database keeps {} on it", first.display().to_string().escape_default()));
    let at_best = |what: String| Finding::at_best(Check::Filesystems, Grade::Filesystem, what);
    let finding = match (seems, &holds) {
        (Seems::On(_), _) | (Seems::Exempt(_), None) => return None,
        (Seems::Exempt(why), Some(_)) => at_best(format!("{name} cannot be proven to be frozen: {why}")),
        (Seems::LeftOut, None) => Finding::note(Check::Filesystems, format!("{name} is left out on purpose")),
        (Seems::LeftOut, Some(_)) => at_best(format!("{name} is left out on purpose"))
            .remedy("take it out of `ignore_mounts`, and name its disk"),
        (Seems::NotHere, _) => at_best(format!("{name} seems to be on no disk of this job"))
            .remedy("name its disk with --disk, or its mountpoint in `ignore_mounts` where it is not to be backed up"),
        (Seems::Unknown, _) => {
            Finding::note(Check::Filesystems, format!("which volume {name} is cannot be told beforehand"))
                .because("it has no UUID, or several volumes have the same: its marker will show it")
        }
    };
    Some(match holds {
        Some(holds) if finding.why.is_empty() => finding.because(holds),
        _ => finding,
    })
}

/// A directory of the database that lies on none of them; `None` where it does.
fn directory(place: &Place, placed: &[Placed]) -> Option<Finding> {
    let path = place.path.display().to_string();
    let why = match &place.on {
        Err(why) => format!("where it lies is not known ({})", why.escape_default()),
        Ok(on) if placed.iter().any(|placed| placed.mount.device == on.device) => return None,
        Ok(on) => {
            format!(
                "it lies on {} ({}), which is on no disk",
                on.mountpoint.escape_default(),
                on.fs_type.escape_default()
            )
        }
    };
    let what = format!("the database's {} will not be proven to be in the backup", path.escape_default());
    Some(
        Finding::at_best(Check::Filesystems, Grade::Filesystem, what)
            .because(why)
            .remedy("move it onto a filesystem of the guest's own disks"),
    )
}

/// Those that Linux cannot freeze, as FAT; nothing of the database is on them.
fn without_freeze(placed: &[Placed]) -> Option<Finding> {
    let is_one = |one: &&Placed| {
        let Placed { mount, seems, holds } = one;
        let takes_none = !mount.takes_marker() && !mount.read_only && !mount.is_loop();
        takes_none && holds.is_empty() && *seems != Seems::LeftOut
    };
    let all: Vec<String> = placed
        .iter()
        .filter(is_one)
        .map(|Placed { mount, .. }| {
            format!("{} ({})", mount.mountpoint.escape_default(), mount.fs_type.escape_default())
        })
        .collect();
    (!all.is_empty()).then(|| {
        Finding::note(Check::Filesystems, format!("Linux has no freeze for {}", named(&all)))
            .because("what is written there during a backup may be half in it; the grade does not speak of it")
    })
}

/// What is mounted beside them.
fn beside(places: &Places) -> Vec<Finding> {
    let mut found = Vec::new();
    if !places.served.is_empty() {
        let all: Vec<String> = places
            .served
            .iter()
            .map(|one| format!("{} ({})", one.mountpoint.escape_default(), one.fs_type.escape_default()))
            .collect();
        let what = format!("{} from servers or programs: {}", counted(all.len() as u64, "mount"), named(&all));
        found.push(
            Finding::note(Check::Filesystems, what)
                .because("no freeze reaches them, and nothing of them is in a backup of the guest's disks"),
        );
    }
    if !places.mounted_again.is_empty() {
        let all: Vec<String> = places.mounted_again.iter().map(|path| path.escape_default().to_string()).collect();
        let what =
            format!("{} of what is mounted elsewhere, too: {}", counted(all.len() as u64, "bind mount"), named(&all));
        found.push(
            Finding::note(Check::Filesystems, what)
                .because("a freeze comes to each of them, and takes the longer the more there are"),
        );
    }
    found
}

/// What can be seen from outside of the guest.
fn without_places(seen: &Seen, why: &str, disks: &[DiskPlan]) -> Vec<Finding> {
    let mut found = vec![Finding::unseen(Check::Filesystems, Weight::AtBest(Grade::Filesystem), why)];
    if let Some(guest) = seen.survey.guest.as_ref().filter(|guest| guest.unlisted.is_none()) {
        let missing = on_no_disk(&guest.filesystems, disks);
        found.extend(missing.into_iter().map(|what| {
            Finding::at_best(Check::Filesystems, Grade::Filesystem, what).remedy("name that disk with --disk, too")
        }));
    }
    found
}

fn named(all: &[String]) -> String {
    let first = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > NAMED { format!("{first} and {} more", all.len() - NAMED) } else { first }
}
