//! What proves that the guest runs again: its disks, or a write that went through. Pure.
//!
//! The agent's answer to a thaw is a claim, as that to a freeze.

use std::time::Duration;

use guest_bridge::places::DeviceNumber;

use super::identity::{Fate, Filesystem, Identity, OnVolume};
use super::markers::Told;
use crate::failure::{Cause, Kind};

/// What the origin of a filesystem showed after the thaw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its volume.
    pub on: OnVolume,
    /// What it showed.
    pub shows: Shows,
}

/// What a filesystem shows on its disk after a thaw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shows {
    /// It is live again.
    Live {
        /// From the agent's answer to the thaw.
        after: Duration,
    },
    /// It was live before the freeze, and looks frozen still.
    Frozen,
    /// It was not live before the freeze either: unmounted, or mounted read-only.
    Idle,
    /// It does not show whether it is frozen.
    Untold(String),
}

/// A filesystem that was to be thawed, and what proves that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thawed {
    /// Where the guest has it mounted, where that is known.
    pub mountpoint: Option<String>,
    /// Its volume, where that is known.
    pub on: Option<OnVolume>,
    /// What proves it.
    pub proof: ThawProof,
}

/// What proves that a filesystem is thawed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThawProof {
    /// Its disk shows it.
    SeenLive {
        /// From the agent's answer to the thaw until it was seen.
        after: Duration,
    },
    /// The guest removed a marker from it after the thaw: on a frozen filesystem that waits.
    Written,
    /// Nothing does.
    NotProven {
        /// Why.
        why: String,
    },
}

/// Every filesystem that was to be thawed: those of the guest, and those of these disks that were live before.
#[must_use]
pub fn proofs(seen: &[Seen], identity: &Identity, told: Option<&Told>) -> Vec<Thawed> {
    let guests = match identity {
        Identity::LookedFor(looked) => looked.filesystems.as_slice(),
        Identity::Unknown { .. } => &[],
    };
    let shows = |on: &OnVolume| seen.iter().find(|one| one.on == *on).map(|one| &one.shows);
    let mut all = Vec::new();
    for Filesystem { mount, fate } in guests {
        let on = match fate {
            Fate::Exempt(_) => continue,
            Fate::Found(on) => Some(on.clone()),
            Fate::Missing | Fate::LeftOut | Fate::Unseen(_) | Fate::Refused(_) => None,
        };
        let proof = proof(on.as_ref().and_then(shows), was_written(told, mount.device));
        all.push(Thawed { mountpoint: Some(mount.mountpoint.clone()), on, proof });
    }
    let is_guests = |on: &OnVolume| all.iter().any(|one: &Thawed| one.on.as_ref() == Some(on));
    let is_its_own = |one: &&Seen| match &one.shows {
        Shows::Live { .. } | Shows::Frozen => !is_guests(&one.on),
        // Where the guest's are known, it is none of them.
        Shows::Untold(_) => guests.is_empty(),
        Shows::Idle => false,
    };
    let others: Vec<Thawed> = seen
        .iter()
        .filter(is_its_own)
        .map(|one| Thawed { mountpoint: None, on: Some(one.on.clone()), proof: proof(Some(&one.shows), false) })
        .collect();
    all.extend(others);
    all
}

fn was_written(told: Option<&Told>, device: DeviceNumber) -> bool {
    told.is_some_and(|told| told.removed.contains(&device))
}

fn proof(shows: Option<&Shows>, was_written: bool) -> ThawProof {
    let why = match shows {
        Some(Shows::Live { after }) => return ThawProof::SeenLive { after: *after },
        _ if was_written => return ThawProof::Written,
        Some(Shows::Frozen) => "its disk shows it frozen".to_owned(),
        Some(Shows::Idle) => "its disk did not show it live before the freeze either".to_owned(),
        Some(Shows::Untold(why)) => why.clone(),
        None => "which volume it is, is not known".to_owned(),
    };
    ThawProof::NotProven { why: format!("{why}, and the guest removed no marker from it") }
}

/// Those of which the disk says that they are frozen still.
pub fn look_frozen(seen: &[Seen]) -> impl Iterator<Item = &OnVolume> {
    seen.iter().filter(|one| one.shows == Shows::Frozen).map(|one| &one.on)
}

/// That the disks contradict the agent; `None` where they do not.
#[must_use]
pub fn still_frozen(seen: &[Seen]) -> Option<Cause> {
    let frozen: Vec<String> = look_frozen(seen).map(ToString::to_string).collect();
    (!frozen.is_empty()).then(|| {
        let frozen = frozen.join(", ");
        Cause::plain(
            Kind::GuestMayBeFrozen,
            format!("the agent says, twice, that the guest is thawed, and its disk says that it is frozen: {frozen}"),
        )
    })
}

/// Whether the guest has written to every filesystem that took a marker, and none took none: then nothing in it is frozen, whatever
/// its disks show. It may keep what it writes on a disk that is in between.
#[must_use]
pub fn writes_everywhere(told: &Told) -> bool {
    let Ok(marked) = &told.marked else { return false };
    let is_written = |marker: &guest_bridge::places::Marker| told.removed.contains(&marker.device);
    !marked.markers.is_empty() && marked.refused.is_empty() && marked.markers.iter().all(is_written)
}

#[cfg(test)]
mod tests;
