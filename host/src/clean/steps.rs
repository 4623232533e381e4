//! The way down, in its order: all mounts first, because one may lie below another's mountpoint, then devices from the top, and last
//! what they lie on.

use lvm::Mapped;

use super::base::Base;
use super::blocks::BlockKind;
use super::finding::{Refusal, Step, What};
use super::tree::{Above, Device, Tree};

pub(super) fn steps<'s>(base: &Base<'s>, above: &[Above<'s>], tree: &Tree<'s>) -> Vec<Step> {
    // Nobody is shown how, where nobody should.
    if let Some(Refusal::Alive(_) | Refusal::Dead(_) | Refusal::Merging) = base.refusal {
        return Vec::new();
    }
    let mut steps = umounts(base, above, tree);
    steps.extend(above.iter().filter_map(|above| down(above.device)));
    steps.extend(last(base));
    steps
}

/// Of our own mount namespace, the deepest first, and of one mountpoint what lies over it first.
fn umounts<'s>(base: &Base<'s>, above: &[Above<'s>], tree: &Tree<'s>) -> Vec<Step> {
    let mounts = base.numbers(above).into_iter().flat_map(|number| tree.mounts_of(number));
    let mut mounts: Vec<_> = mounts.filter(|mount| mount.within.is_none()).collect();
    mounts.sort_by_key(|mount| (mount.mountpoint.components().count(), tree.place_of(mount)));
    let umount = |mount: &super::mounts::Mount| Step::Umount {
        id: mount.id,
        mountpoint: mount.mountpoint.clone(),
        number: mount.number.clone(),
    };
    mounts.into_iter().rev().map(umount).collect()
}

/// `None` for what goes with what it lies on, and for what is not for this program to take away.
fn down(device: Device<'_>) -> Option<Step> {
    match device {
        Device::Mapped(device) => device.is_piece().then(|| unmap(device, None)),
        Device::Block(block) => match &block.kind {
            BlockKind::Loop { backing } => Some(Step::Detach { name: block.name.clone(), backing: backing.clone() }),
            BlockKind::Partition { .. } | BlockKind::Other { .. } => None,
        },
    }
}

/// What it all lies on. A volume that is no snapshot stays, whoever takes the steps.
fn last(base: &Base<'_>) -> Vec<Step> {
    match (base.what, base.volume) {
        (What::MappedVolume, _) => Vec::new(),
        (_, Some(volume)) => {
            vec![Step::Remove { name: volume.name.clone(), lv_uuid: volume.lv_uuid.clone() }]
        }
        (_, None) => base.devices.iter().map(|device| unmap(device, base.lv.clone())).collect(),
    }
}

fn unmap(device: &Mapped, leftover_of: Option<lvm::LvName>) -> Step {
    Step::Unmap { device: Box::new(device.clone()), leftover_of }
}
