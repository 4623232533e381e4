//! Finds the guest's markers in the snapshots.

use std::time::Instant;

use fsprobe::{Kind, ReadAt, with_file};
use guest_bridge::places::{DeviceNumber, Marked, Marker, MarkerName, Mount, Places};

use super::disk::{Disk, Proven};
use super::identity::{Fate, Filesystem, Identity, Looked, OnVolume, exempt};
use super::markers::Told;
use super::plan::Plan;
use super::survey::Survey;

/// Which volume of `disks` is which filesystem of the guest. `frozen_at` is when the freeze was sent.
#[must_use]
pub fn identify(
    survey: &Survey,
    plan: &Plan,
    told: Option<&Told>,
    frozen_at: Option<Instant>,
    disks: &[Disk<Proven>],
) -> Identity {
    let unknown = |why: &str| Identity::Unknown { why: why.to_owned() };
    let (places, told) = match (&survey.places, told) {
        (Ok(places), Some(told)) => (places, told),
        (Err(why), _) => return unknown(why),
        (Ok(_), None) => return unknown("nothing was frozen"),
    };
    let marked = match &told.marked {
        Ok(marked) => marked,
        Err(why) => return unknown(why),
    };
    let filesystem = |mount: Mount| Filesystem { fate: fate(&mount, plan, &told.name, marked, disks), mount };
    Identity::LookedFor(Looked {
        filesystems: mounts(places, marked).into_iter().map(filesystem).collect(),
        database: places.paths.clone(),
        is_all_of_database: !places.more,
        marker_age: frozen_at.map(|at| at.saturating_duration_since(told.at)),
    })
}

/// Those that were there at the survey. One that was mounted since took a marker all the same, and is looked for, too.
fn mounts(places: &Places, marked: &Marked) -> Vec<Mount> {
    let is_new = |device: &DeviceNumber| places.mounts.iter().all(|known| known.device != *device);
    let markers = marked.markers.iter().map(|marker| (marker.device, &marker.mountpoint));
    let refused = marked.refused.iter().map(|refused| (refused.device, &refused.mountpoint));
    let new = markers.chain(refused).filter(|(device, _)| is_new(device)).map(|(device, mountpoint)| Mount {
        device,
        mountpoint: mountpoint.clone(),
        fs_type: "mounted since the survey".to_owned(),
        source: String::new(),
        read_only: false,
        uuid: None,
    });
    places.mounts.iter().cloned().chain(new).collect()
}

fn fate(mount: &Mount, plan: &Plan, name: &MarkerName, marked: &Marked, disks: &[Disk<Proven>]) -> Fate {
    let of_it = |marker: &&Marker| marker.device == mount.device;
    if let Some(marker) = marked.markers.iter().find(of_it)
        && let Some(on) = find(marker, name, disks)
    {
        return Fate::Found(on);
    }
    match exempt(mount) {
        Some(why) => Fate::Exempt(why),
        None if plan.ignore_mounts.contains(&mount.mountpoint) => Fate::LeftOut,
        None if marked.markers.iter().any(|marker| marker.device == mount.device) => Fate::Missing,
        None => {
            let refused = marked.refused.iter().find(|refused| refused.device == mount.device);
            Fate::Refused(refused.map_or_else(|| "it took no marker".to_owned(), |refused| refused.reason.clone()))
        }
    }
}

/// The volume in which the marker's inode holds the marker. More than one has to be a copy of it: then neither is known to be it.
fn find(marker: &Marker, name: &MarkerName, disks: &[Disk<Proven>]) -> Option<OnVolume> {
    let content = name.content(marker.device);
    let mut found = None;
    for disk in disks {
        let Proven { device, layout, .. } = &disk.stage;
        for volume in layout.volumes.iter().filter(|volume| volume.kind.is_ext() || volume.kind == Kind::Xfs) {
            let holds = with_file(&volume.open(device), volume.kind, marker.inode, |file| is(file, &content));
            if holds.unwrap_or(false) {
                let on = OnVolume { origin: disk.origin().clone(), volume: volume.path.clone() };
                if found.replace(on).is_some() {
                    return None;
                }
            }
        }
    }
    found
}

fn is(file: &dyn ReadAt, content: &[u8]) -> bool {
    if file.size_bytes() != content.len() as u64 {
        return false;
    }
    let mut bytes = vec![0; content.len()];
    file.read_exact_at(&mut bytes, 0).is_ok_and(|()| bytes == content)
}
