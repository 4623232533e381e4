//! What has to let go first, and is not for this program to end: each with what a person can do.

use lvm::{Holder, LvName, Mapped};

use super::base::Base;
use super::blocks::BlockKind;
use super::mounts::Mount;
use super::processes::{Process, User};
use super::seen::Seen;
use super::tree::{Above, Device, Tree};

pub(super) fn hindrances<'s>(base: &Base<'s>, above: &[Above<'s>], tree: &Tree<'s>, seen: &'s Seen) -> Vec<String> {
    let mut found: Vec<String> = above.iter().filter_map(device).collect();
    let numbers = base.numbers(above);
    let mounts: Vec<&Mount> = numbers.iter().flat_map(|number| tree.mounts_of(number)).collect();
    found.extend(mounts.iter().filter_map(|mount| mounted(mount, &mounts, seen)));
    let served = mounts.iter().any(|mount| mount.fs_type == "fuseblk");
    let users = seen.users.iter().filter(|user| !is_transient(&user.process));
    found.extend(users.filter_map(|user| used(user, &numbers, &mounts, served)));
    found
}

/// Devices on top that are somebody else's to take down.
fn device(above: &Above<'_>) -> Option<String> {
    let (name, on) = (above.device.name(), above.on);
    match above.device {
        Device::Mapped(device) if device.is_piece() => None,
        Device::Mapped(device) => Some(format!("{name} lies on {on}: {}", close(device))),
        Device::Block(block) => match block.kind {
            BlockKind::Loop { .. } | BlockKind::Partition { .. } => None,
            BlockKind::Other { .. } => Some(format!("{name} lies on {on}: stop it first (`lsblk` shows what it is)")),
        },
    }
}

fn close(device: &Mapped) -> String {
    let volume = device.lv_uuid().and_then(|_| format!("/dev/mapper/{}", device.name).parse::<LvName>().ok());
    match volume {
        Some(volume) => {
            format!("a group inside of it is active on this host; `vgchange --activate n {}` first", volume.vg())
        }
        None if device.uuid.starts_with("CRYPT-") => format!("`cryptsetup close {}` first", device.name),
        None => format!("take it down first (`dmsetup table {}` shows what it is)", device.name),
    }
}

/// Mounts that `umount` in our namespace does not reach, or would miss.
fn mounted(mount: &Mount, all: &[&Mount], seen: &Seen) -> Option<String> {
    let point = mount.mountpoint.display();
    if let Some(Process { pid, command, .. }) = &mount.within {
        // Where it is mounted here too, what is unmounted here goes there as well, as a rule; if not, the next step says so.
        let is_here = all.iter().any(|other| other.within.is_none() && other.number == mount.number);
        return (!is_here).then(|| {
            format!(
                "it is mounted on {point} in the mount namespace of {command} (pid {pid}): end that, or `nsenter --target {pid} \
                 --mount umount {point}`"
            )
        });
    }
    let ours = || seen.mounts.iter().filter(|other| other.within.is_none());
    let is_meant = |other: &Mount| all.iter().any(|one| **one == *other);
    let mut over = ours().rev().take_while(|other| *other != mount);
    if let Some(over) = over.find(|other| other.mountpoint == mount.mountpoint && !is_meant(other)) {
        return Some(format!("{} is mounted over it on {point}: `umount {point}` that first", over.fs_type));
    }
    let below = ours().find(|other| other.parent == mount.id && !is_meant(other) && *other != mount)?;
    let below = below.mountpoint.display();
    Some(format!("{below} is mounted below {point}: `umount {below}` first"))
}

/// udev and LVM look at every device for a moment.
fn is_transient(process: &Process) -> bool {
    Holder::Process { pid: process.pid, program: process.command.clone() }.is_transient()
}

/// A process that has it open, unless that serves the mount and ends with it (ntfs-3g), or that works in a mount of it.
fn used(user: &User, numbers: &[&str], mounts: &[&Mount], served: bool) -> Option<String> {
    let Process { pid, command, .. } = &user.process;
    let mut points = mounts.iter().filter(|mount| user.uses.contains(&mount.mountpoint));
    if let Some(mount) = points.next() {
        let point = mount.mountpoint.display();
        return Some(format!("{command} (pid {pid}) works in {point}: end it, or let it leave that folder"));
    }
    let opens = numbers.iter().any(|number| user.opens.contains(*number)) && !served;
    opens.then(|| {
        format!("{command} (pid {pid}) has it open: wait for its end, or end it (`ps -fp {pid}` shows what it does)")
    })
}
