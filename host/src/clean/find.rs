//! From what was read to what is stale. Pure.

use std::collections::BTreeMap;

use lvm::{Bytes, SnapshotState};

use super::base::{Base, bases};
use super::blocks::BlockKind;
use super::finding::{Finding, OnTop, What};
use super::hindrance::hindrances;
use super::seen::Seen;
use super::steps::steps;
use super::tree::{Above, Device, Tree};

/// Bytes of a sector of device-mapper.
const SECTOR_BYTES: u64 = 512;

/// What is stale, in LVM's order, and then the leftovers.
#[must_use]
pub fn find(seen: &Seen) -> Vec<Finding> {
    let tree = Tree::of(seen);
    bases(seen).iter().filter_map(|base| finding(base, &tree, seen)).collect()
}

fn finding<'s>(base: &Base<'s>, tree: &Tree<'s>, seen: &'s Seen) -> Option<Finding> {
    let above = base.above(tree);
    if base.what == What::MappedVolume && above.is_empty() {
        return None;
    }
    let cow = base.devices.iter().find_map(|device| match device.snapshot {
        Some(SnapshotState::Active { used, total, .. }) => {
            Some((Bytes(used.0.saturating_mul(SECTOR_BYTES)), Bytes(total.0.saturating_mul(SECTOR_BYTES))))
        }
        _ => None,
    });
    let origin = base.volume.and_then(|volume| Some(format!("{}/{}", volume.name.vg(), volume.origin.as_ref()?)));
    Some(Finding {
        volume: base.lv.clone(),
        name: base.name.clone(),
        what: base.what,
        uuid: base.uuid.to_owned(),
        origin,
        size: base.volume.and_then(|volume| volume.size),
        cow,
        made: base.volume.and_then(|volume| volume.made),
        run: base.run.clone(),
        on_top: on_top(base, &above, tree, seen),
        steps: steps(base, &above, tree),
        refusal: base.refusal.clone(),
        in_the_way: hindrances(base, &above, tree, seen),
    })
}

/// Lowest first: devices, then mounts, then processes.
fn on_top<'s>(base: &Base<'s>, above: &[Above<'s>], tree: &Tree<'s>, seen: &'s Seen) -> Vec<OnTop> {
    let mut found: Vec<OnTop> = above.iter().rev().map(device).collect();
    let names: BTreeMap<&str, &str> = base
        .devices
        .iter()
        .map(|device| (&*device.number, &*device.name))
        .chain(above.iter().map(|above| (above.device.number(), above.device.name())))
        .collect();
    let mut mountpoints = Vec::new();
    for number in base.numbers(above) {
        for mount in tree.mounts_of(number) {
            let (mountpoint, fs_type) = (mount.mountpoint.clone(), mount.fs_type.clone());
            let on = names.get(number).copied().unwrap_or(number).to_owned();
            mountpoints.extend(mount.within.is_none().then(|| mountpoint.clone()));
            found.push(OnTop::Mount { mountpoint, fs_type, on, within: mount.within.clone() });
        }
    }
    for user in &seen.users {
        let opens =
            names.iter().filter(|(number, _)| base.numbers(above).contains(number) && user.opens.contains(**number));
        let opens = opens.map(|(_, name)| (*name).to_owned());
        let uses =
            mountpoints.iter().filter(|point| user.uses.contains(*point)).map(|point| point.display().to_string());
        found.extend(opens.chain(uses).map(|on| OnTop::Process { process: user.process.clone(), on }));
    }
    found
}

fn device(above: &Above<'_>) -> OnTop {
    let (name, on) = (above.device.name().to_owned(), above.on.to_owned());
    match above.device {
        Device::Mapped(device) if device.is_piece() => OnTop::Mapping { name, on },
        Device::Mapped(_) => OnTop::Device { name, on },
        Device::Block(block) => match block.kind {
            BlockKind::Loop { .. } => OnTop::Loop { name, on },
            BlockKind::Partition { .. } => OnTop::Partition { name, on },
            BlockKind::Other { .. } => OnTop::Device { name, on },
        },
    }
}

#[cfg(test)]
mod tests;
