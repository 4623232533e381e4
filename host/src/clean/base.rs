//! What each way down ends at: a volume, or nodes that are left of one.

use std::collections::BTreeMap;

use lvm::{LvName, Mapped, RunId, SnapshotState, Volume};

use super::blocks::BlockKind;
use super::finding::{Refusal, What};
use super::processes::Interest;
use super::run_of::RunState;
use super::seen::Seen;
use super::tree::{Above, Device, Tree};

/// What has to be asked of every process.
pub(super) fn interest(seen: &Seen) -> Interest {
    let (tree, mut interest) = (Tree::of(seen), Interest::default());
    for base in bases(seen) {
        let above = base.above(&tree);
        for number in base.numbers(&above) {
            let ours = tree.mounts_of(number).filter(|mount| mount.within.is_none());
            interest.mountpoints.extend(ours.map(|mount| mount.mountpoint.clone()));
            interest.numbers.insert(number.to_owned());
        }
    }
    interest
}

/// What a way down ends at.
pub(super) struct Base<'s> {
    pub what: What,
    pub name: String,
    pub lv: Option<LvName>,
    pub uuid: &'s str,
    pub volume: Option<&'s Volume>,
    /// Its nodes, the volume's own first.
    pub devices: Vec<&'s Mapped>,
    pub refusal: Option<Refusal>,
    pub run: Option<(RunId, RunState)>,
}

impl<'s> Base<'s> {
    /// What lies on it, the topmost first. On a volume that is no snapshot LVM, md and others may lie as they like.
    pub fn above(&self, tree: &Tree<'s>) -> Vec<Above<'s>> {
        tree.above(&self.devices, |above| self.what != What::MappedVolume || is_piece_or_loop(above))
    }

    /// The numbers of it and of what lies on it.
    pub fn numbers(&self, above: &[Above<'s>]) -> Vec<&'s str> {
        // Of a volume that is no snapshot somebody may have anything mounted and open.
        let own = self.devices.iter().filter(|_| self.what != What::MappedVolume).map(|device| &*device.number);
        own.chain(above.iter().map(|above| above.device.number())).collect()
    }
}

fn is_piece_or_loop(device: Device<'_>) -> bool {
    match device {
        Device::Mapped(device) => device.is_piece(),
        Device::Block(block) => matches!(block.kind, BlockKind::Loop { .. }),
    }
}

pub(super) fn bases(seen: &Seen) -> Vec<Base<'_>> {
    let mut nodes: BTreeMap<&str, Vec<&Mapped>> = BTreeMap::new();
    for device in &seen.mapped {
        if let Some(uuid) = device.lv_uuid() {
            nodes.entry(uuid).or_default().push(device);
        }
    }
    let of_volumes = seen.inventory.volumes.iter().map(|volume| of_volume(volume, &nodes, seen));
    let leftovers = nodes.iter().filter_map(|(uuid, devices)| leftover(uuid, devices, seen));
    of_volumes.chain(leftovers).collect()
}

fn of_volume<'s>(volume: &'s Volume, nodes: &BTreeMap<&str, Vec<&'s Mapped>>, seen: &Seen) -> Base<'s> {
    let run = RunId::of_volume(&volume.name).filter(|_| volume.is_ours);
    let run = run.map(|run| (run.clone(), seen.runs.get(&run).copied().unwrap_or(RunState::Unknown)));
    let devices = nodes.get(&*volume.uuid).into_iter().flatten().copied();
    // What holds the COW holds the snapshot.
    let mut devices: Vec<&Mapped> = devices.filter(|device| matches!(device.lv_part(), Some("" | "-cow"))).collect();
    devices.sort_by_key(|device| device.lv_part());
    let says_invalid =
        devices.iter().any(|device| matches!(device.snapshot, Some(SnapshotState::Invalid | SnapshotState::Overflow)));
    let what = if volume.is_thick_snapshot() && (volume.is_invalid() || says_invalid) {
        What::InvalidSnapshot
    } else if volume.is_thick_snapshot() {
        What::Snapshot
    } else if volume.is_thin_snapshot() {
        What::ThinSnapshot
    } else if run.is_some() {
        What::RunVolume
    } else {
        What::MappedVolume
    };
    let refusal = match (&run, what) {
        (Some((run, RunState::Alive)), _) => Some(Refusal::Alive(run.clone())),
        (Some((run, RunState::Dead)), _) => Some(Refusal::Dead(run.clone())),
        (Some((run, RunState::Unknown)), _) => Some(Refusal::UnknownRun(run.clone())),
        (None, _) if volume.is_merging() => Some(Refusal::Merging),
        (None, What::ThinSnapshot) => Some(Refusal::Thin),
        (None, What::MappedVolume) => Some(Refusal::NotASnapshot),
        (None, _) => None,
    };
    let (name, lv) = (volume.name.to_string(), Some(volume.name.clone()));
    Base { what, name, lv, uuid: &volume.uuid, volume: Some(volume), devices, refusal, run }
}

/// Nodes of a volume that LVM has not. Where its group could not be looked at, nobody knows.
fn leftover<'s>(uuid: &'s str, devices: &[&'s Mapped], seen: &Seen) -> Option<Base<'s>> {
    let inventory = &seen.inventory;
    let group = uuid.get(4..36)?;
    let is_looked_at = inventory.groups.contains(group);
    let is_known = inventory.uuids.contains(uuid) || !devices.iter().any(|device| seen.standing.contains(&device.uuid));
    if is_known || !(is_looked_at || inventory.unseen.is_empty()) {
        return None;
    }
    let mut devices = devices.to_vec();
    devices.sort_by_key(|device| device.lv_part());
    let own = devices.first()?;
    let dm_name = own.name.strip_suffix(own.lv_part()?).unwrap_or(&own.name);
    let lv: Option<LvName> = format!("/dev/mapper/{dm_name}").parse().ok();
    let is_snapshot = devices
        .iter()
        .all(|device| device.lv_part() == Some("-cow") || (device.lv_part() == Some("") && device.is_all("snapshot")));
    let refusal = if !is_looked_at {
        Some(Refusal::UnseenGroup)
    } else if !is_snapshot {
        Some(Refusal::NotASnapshot)
    } else {
        lv.is_none().then_some(Refusal::NoName)
    };
    let name = lv.as_ref().map_or_else(|| dm_name.to_owned(), ToString::to_string);
    Some(Base { what: What::LeftoverNodes, name, lv, uuid, volume: None, devices, refusal, run: None })
}
