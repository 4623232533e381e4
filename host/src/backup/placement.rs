//! Which volume of the job each filesystem of the guest seems to be, before anything is touched. Pure.
//!
//! By UUID, which clones share: it is what a plan says, and proof of nothing. What proves it is in [`identity`](super::identity).

use std::path::PathBuf;

use guest_bridge::places::{Mount, Place, Places};

use super::disk::DiskPlan;
use super::identity::{OnVolume, exempt};

/// A filesystem of the guest, and where it seems to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// As the guest has it.
    pub mount: Mount,
    /// Where it seems to be.
    pub seems: Seems,
    /// What the database keeps on it.
    pub holds: Vec<PathBuf>,
}

/// Where a filesystem seems to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seems {
    /// On this volume.
    On(OnVolume),
    /// On none of the job.
    NotHere,
    /// It has no UUID, or several volumes have the same.
    Unknown,
    /// Nowhere, on purpose.
    LeftOut,
    /// It is not looked for.
    Exempt(&'static str),
}

/// Each filesystem that the guest has mounted from a block device.
pub fn placed(places: &Places, ignored: &[String], disks: &[DiskPlan]) -> Vec<Placed> {
    let holds = |mount: &Mount| {
        let is_on = |place: &&Place| place.on.as_ref().is_ok_and(|on| on.device == mount.device);
        places.paths.iter().filter(is_on).map(|place| place.path.clone()).collect()
    };
    let place =
        |mount: &Mount| Placed { mount: mount.clone(), seems: seems(mount, ignored, disks), holds: holds(mount) };
    places.mounts.iter().map(place).collect()
}

fn seems(mount: &Mount, ignored: &[String], disks: &[DiskPlan]) -> Seems {
    let is_it = |uuid: &Option<String>| {
        uuid.as_deref().zip(mount.uuid.as_deref()).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
    };
    let of_disk = |disk: &DiskPlan| -> Vec<OnVolume> {
        let volumes = disk.volumes.iter().filter(|volume| is_it(&volume.uuid));
        volumes.map(|volume| OnVolume { origin: disk.origin.name.clone(), volume: volume.path.clone() }).collect()
    };
    let mut found: Vec<OnVolume> = disks.iter().flat_map(of_disk).collect();
    match (found.pop(), exempt(mount)) {
        (Some(on), _) if found.is_empty() => Seems::On(on),
        (Some(_), _) => Seems::Unknown,
        (None, _) if ignored.contains(&mount.mountpoint) => Seems::LeftOut,
        (None, Some(why)) => Seems::Exempt(why),
        (None, None) if mount.uuid.is_none() => Seems::Unknown,
        (None, None) => Seems::NotHere,
    }
}

/// What an admin should know of it: a sentence for each filesystem, and each directory of the database, that no disk of the job seems
/// to have.
pub fn notes(placed: &[Placed], places: &Places, ignored: &[String]) -> Vec<String> {
    let mut notes: Vec<String> = placed.iter().filter_map(note).collect();
    for place in &places.paths {
        let path = place.path.display().to_string();
        let path = path.escape_default();
        let why = match &place.on {
            Err(why) => format!("where it lies is not known ({})", why.escape_default()),
            Ok(on) => match placed.iter().find(|placed| placed.mount.device == on.device) {
                Some(Placed { seems: Seems::Exempt(why), .. }) => {
                    format!("it lies on {}, and {why}", on.mountpoint.escape_default())
                }
                Some(_) => continue,
                None => format!(
                    "it lies on {} ({}), which is on no disk",
                    on.mountpoint.escape_default(),
                    on.fs_type.escape_default()
                ),
            },
        };
        notes.push(format!(
            "the database's {path} will not be proven to be in the backup: {why}; the grade will be `filesystem` at best"
        ));
    }
    if places.more {
        notes.push(
            "the database's directories have more links and mounts in them than are looked at: whether all it keeps is in the \
             backup cannot be seen; the grade will be `filesystem` at best"
                .to_owned(),
        );
    }
    let is_mounted = |ignored: &String| places.mounts.iter().any(|mount| mount.mountpoint == *ignored);
    let unknown = ignored.iter().filter(|ignored| !is_mounted(ignored));
    notes.extend(unknown.map(|path| format!("`ignore_mounts` names {path}, and nothing is mounted there")));
    notes
}

fn note(Placed { mount, seems, holds }: &Placed) -> Option<String> {
    let name = format!("{} ({}) of the guest", mount.mountpoint.escape_default(), mount.fs_type.escape_default());
    let holds = match &**holds {
        [] => String::new(),
        [first, ..] => format!(", with the database's {} on it,", first.display().to_string().escape_default()),
    };
    match seems {
        Seems::On(_) | Seems::Exempt(_) => None,
        Seems::LeftOut if holds.is_empty() => Some(format!("{name} is left out on purpose")),
        Seems::LeftOut => Some(format!("{name}{holds} is left out on purpose: the grade will be `filesystem` at best")),
        Seems::NotHere => Some(format!(
            "{name}{holds} seems to be on no disk of this job: name its disk, or its mountpoint in `ignore_mounts`; the grade \
             will be `filesystem` at best"
        )),
        Seems::Unknown => Some(format!(
            "{name}{holds} cannot be told beforehand from others: which volume it is, its marker will show"
        )),
    }
}

#[cfg(test)]
mod tests;
