//! Whether what a step takes away is still what was listed.

use lvm::LvmError;

use super::Reach;
use super::finding::Step;
use super::mounts::own;
use super::roots::read_text;

/// What became of it since.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Still {
    /// It is the same.
    Same,
    /// It is not there any more: somebody else took it away, or it went with something.
    Gone,
    /// Something else is there, or it is something else.
    Changed(String),
}

/// Looks at it, right before the step. A snapshot is looked at by what removes it.
pub(super) fn still(step: &Step, reach: &Reach) -> Result<Still, LvmError> {
    Ok(match step {
        Step::Umount { id, mountpoint, number } => {
            let mounts = own(&reach.roots);
            let there = mounts.iter().rposition(|mount| mount.mountpoint == *mountpoint);
            let it = mounts
                .iter()
                .position(|mount| mount.id == *id && mount.number == *number && mount.mountpoint == *mountpoint);
            match it {
                None => Still::Gone,
                Some(_) if it == there => Still::Same,
                Some(_) => Still::Changed(format!("something else is mounted over {} now", mountpoint.display())),
            }
        }
        Step::Detach { name, backing } => {
            match read_text(&reach.roots.sys.join("block").join(name).join("loop/backing_file")) {
                now if now.is_empty() => Still::Gone,
                now if now == *backing => Still::Same,
                now => Still::Changed(format!("{name} is over {now} now")),
            }
        }
        Step::Unmap { device, leftover_of } => {
            if let Some(volume) = leftover_of
                && reach.lvm.volume(volume)?.is_some()
            {
                return Ok(Still::Changed(format!("LVM has a volume {volume} now")));
            }
            match reach.lvm.mapped()?.into_iter().find(|now| now.name == device.name) {
                None => Still::Gone,
                Some(now) if now.is_same_as(device) => Still::Same,
                Some(_) => Still::Changed(format!("{} is another device now, or has another table", device.name)),
            }
        }
        Step::Remove { .. } => Still::Same,
    })
}
