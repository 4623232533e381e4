//! Which filesystem of the guest is which volume of the snapshots. Pure.
//!
//! Before the freeze the guest writes a marker onto each of its filesystems: a small file with a random name and the number of
//! its device in it, not synced. A volume in whose snapshot that very inode holds that very marker *is* that filesystem, and was
//! written out after the marker was. UUIDs prove less: clones of one template share them.

use std::fmt;
use std::time::Duration;

use guest_bridge::places::{DeviceNumber, Mount, Place};
use lvm::LvName;

use super::proof::Standing;

/// What is known of the guest's filesystems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The guest was not asked, or no marker could be written.
    Unknown {
        /// Why.
        why: String,
    },
    /// Each of them was looked for.
    LookedFor(Looked),
}

/// The guest's filesystems, and what the database keeps on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Each filesystem that is mounted from a block device.
    pub filesystems: Vec<Filesystem>,
    /// Each directory of the database.
    pub database: Vec<Place>,
    /// Why it may keep something that is not among these; empty where these are all.
    pub database_unseen: Vec<String>,
    /// The types of filesystems that can be written to and lie on devices that nothing tells, such as zfs.
    pub on_untold_devices: Vec<String>,
    /// From the writing of the markers to the freeze; `None` where nothing was frozen.
    pub marker_age: Option<Duration>,
    /// How long at least nothing but a freeze writes out what was written last.
    pub marker_stays: Duration,
}

/// A filesystem of the guest, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filesystem {
    /// As the guest has it.
    pub mount: Mount,
    /// What became of it.
    pub fate: Fate,
}

/// Where a filesystem of the guest was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// On this volume.
    Found(OnVolume),
    /// Its marker is on no volume of the job.
    Missing,
    /// The same, and the admin has said so.
    LeftOut,
    /// It has a marker, and may be on a volume that cannot be read or that was not frozen.
    Unseen(String),
    /// It took no marker.
    Refused(String),
    /// It is none that could be looked for: in a file of another one, read-only, or of a kind that cannot be frozen.
    Exempt(&'static str),
}

/// A volume of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnVolume {
    /// The disk.
    pub origin: LvName,
    /// As `check` names it.
    pub volume: String,
}

impl fmt::Display for OnVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} volume {}", self.origin, self.volume)
    }
}

impl Identity {
    /// Which filesystem of the guest a volume is.
    #[must_use]
    pub fn standing(&self, origin: &LvName, volume: &str) -> Standing {
        let Self::LookedFor(looked) = self else { return Standing::Unknown };
        let is_it = |on: &OnVolume| on.origin == *origin && on.volume == volume;
        let found = looked.filesystems.iter().find(|one| matches!(&one.fate, Fate::Found(on) if is_it(on)));
        match (looked.marker_age, found) {
            (Some(age), Some(found)) => {
                let stays = if found.mount.synchronous { Duration::ZERO } else { looked.marker_stays };
                Standing::Marked { age, stays }
            }
            (None, Some(_)) => Standing::Unknown,
            (_, None) if looked.is_complete() => Standing::NotMounted,
            (_, None) => Standing::Unknown,
        }
    }
}

impl Looked {
    /// The filesystem of this device.
    #[must_use]
    pub fn of_device(&self, device: DeviceNumber) -> Option<&Filesystem> {
        self.filesystems.iter().find(|filesystem| filesystem.mount.device == device)
    }

    /// Whether every filesystem that could have been written to is known to be elsewhere than where nothing was found.
    fn is_complete(&self) -> bool {
        let is_elsewhere = |Filesystem { mount, fate }: &Filesystem| match fate {
            Fate::Found(_) | Fate::LeftOut => true,
            Fate::Exempt(_) => mount.read_only || mount.is_loop() || is_fat(mount),
            Fate::Missing | Fate::Unseen(_) | Fate::Refused(_) => false,
        };
        self.on_untold_devices.is_empty() && self.filesystems.iter().all(is_elsewhere)
    }
}

/// Of FAT a volume says by itself that it is one.
fn is_fat(mount: &Mount) -> bool {
    matches!(&*mount.fs_type, "vfat" | "msdos" | "exfat")
}

/// Why `mount` is not looked for; `None` where it is.
#[must_use]
pub fn exempt(mount: &Mount) -> Option<&'static str> {
    match mount {
        mount if mount.is_loop() => Some("it lies in a file of another filesystem"),
        mount if mount.read_only => Some("it is mounted read-only"),
        mount if !mount.takes_marker() => Some("Linux has no freeze for it"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_on_a_filesystem_that_is_written_at_once_stays_in_memory_for_no_time() {
        let on = OnVolume { origin: "vg/data".parse().unwrap(), volume: "0".to_owned() };
        let stays = |synchronous| {
            let mount = Mount {
                device: DeviceNumber { major: 253, minor: 0 },
                mountpoint: "/srv".to_owned(),
                fs_type: "ext2".to_owned(),
                source: "/dev/vdb".to_owned(),
                read_only: false,
                synchronous,
                uuid: None,
            };
            let (age, marker_stays) = (Duration::from_secs(2), Duration::from_secs(29));
            let looked = Looked {
                filesystems: vec![Filesystem { mount, fate: Fate::Found(on.clone()) }],
                database: Vec::new(),
                database_unseen: Vec::new(),
                on_untold_devices: Vec::new(),
                marker_age: Some(age),
                marker_stays,
            };
            match Identity::LookedFor(looked).standing(&on.origin, &on.volume) {
                Standing::Marked { age: told, stays } if told == age => stays,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((stays(false), stays(true)), (Duration::from_secs(29), Duration::ZERO));
    }
}
