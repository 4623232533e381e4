//! Finds the guest's markers in the snapshots.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use fsprobe::{FileError, Kind, ReadAt, Volume, VolumeReport, with_file};
use guest_bridge::places::{DeviceNumber, Marked, Marker, MarkerName, Mount, Place, Places};

use super::disk::{Disk, Proven};
use super::identity::{Fate, Filesystem, Identity, Looked, OnVolume, exempt};
use super::markers::Told;
use super::plan::Plan;
use super::proof::{FreezeProof, Standing, freeze_proof};
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
    let after = told.places.as_ref().ok();
    let sought = Sought::new(marked, &told.name, disks);
    let filesystem = |mount: Mount| Filesystem { fate: sought.fate(&mount, &plan.ignore_mounts), mount };
    Identity::LookedFor(Looked {
        filesystems: mounts(places, marked).into_iter().map(filesystem).collect(),
        database: before_and_after(places, after),
        database_unseen: survey.database_unseen(places, &told.places),
        on_untold_devices: [Some(places), after]
            .into_iter()
            .flatten()
            .flat_map(|all| all.on_untold_devices.clone())
            .collect(),
        marker_age: frozen_at.map(|at| at.saturating_duration_since(told.at)),
        marker_stays: stays(marked),
    })
}

/// Linux leaves what was written last in memory for `vm.dirty_expire_centisecs`, and covers an idle XFS log after two rounds of
/// `fs.xfs.xfssyncd_centisecs`: 30 s each, where nobody has changed them. What else writes it out, a `sync` or more to write than
/// `vm.dirty_background_ratio`, becomes likelier with time; it leaves an XFS log that is not covered.
fn stays(marked: &Marked) -> Duration {
    /// Where the guest does not say.
    const UNTOLD: Duration = Duration::from_secs(10);
    const LINUX: Duration = Duration::from_secs(30);
    /// The markers are younger than they are taken for, but its clock is not ours.
    const MARGIN: Duration = Duration::from_secs(1);
    marked.stays_unwritten.map_or(UNTOLD, |told| told.min(LINUX)).saturating_sub(MARGIN)
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
        synchronous: false,
        uuid: None,
    });
    places.mounts.iter().cloned().chain(new).collect()
}

/// What the database keeps, at the survey and after the window: at the snapshot it may have been either.
fn before_and_after(places: &Places, after: Option<&Places>) -> Vec<Place> {
    let mut all = places.paths.clone();
    let new = after.into_iter().flat_map(|after| &after.paths).filter(|place| !places.paths.contains(place));
    all.extend(new.cloned());
    all
}

/// The markers, looked for in every volume.
struct Sought<'m> {
    marked: &'m Marked,
    /// By the device in the guest, the volumes that hold its marker.
    found: BTreeMap<DeviceNumber, Vec<OnVolume>>,
    /// Each volume that may hold a filesystem without showing its marker, and why.
    blind: Vec<(OnVolume, String)>,
}

impl<'m> Sought<'m> {
    fn new(marked: &'m Marked, name: &MarkerName, disks: &[Disk<Proven>]) -> Self {
        let mut sought = Self { marked, found: BTreeMap::new(), blind: Vec::new() };
        for disk in disks {
            let Proven { device, layout, report, .. } = &disk.stage;
            for volume in &layout.volumes {
                let on = OnVolume { origin: disk.origin().clone(), volume: volume.path.clone() };
                let reported = report.volumes.iter().find(|reported| reported.path == volume.path);
                let mut blind = reported.and_then(why_blind);
                for marker in &marked.markers {
                    match holds(volume, device, marker, name) {
                        Ok(true) => sought.found.entry(marker.device).or_default().push(on.clone()),
                        Ok(false) => {}
                        Err(why) => blind = Some(why),
                    }
                }
                if let Some(why) = blind.filter(|_| !sought.found.values().flatten().any(|found| *found == on)) {
                    sought.blind.push((on, why));
                }
            }
        }
        sought
    }

    fn fate(&self, mount: &Mount, ignored: &[String]) -> Fate {
        let is_marked = self.marked.markers.iter().any(|marker| marker.device == mount.device);
        match self.found.get(&mount.device).map(Vec::as_slice) {
            Some([on]) => return Fate::Found(on.clone()),
            // All but one have to be copies of it.
            Some(several) => {
                let several: Vec<String> = several.iter().map(ToString::to_string).collect();
                return Fate::Unseen(format!("its marker is on several volumes: {}", several.join(", ")));
            }
            None if ignored.contains(&mount.mountpoint) => return Fate::LeftOut,
            None if is_marked && self.blind.is_empty() => return Fate::Missing,
            None if is_marked => {
                let blind: Vec<String> = self.blind.iter().map(|(on, why)| format!("{on} ({why})")).collect();
                return Fate::Unseen(format!("no volume shows its marker, and it may be on {}", blind.join(" or ")));
            }
            None => {}
        }
        let refused = self.marked.refused.iter().find(|refused| refused.device == mount.device);
        match (refused, exempt(mount)) {
            (Some(refused), _) => Fate::Refused(refused.reason.clone()),
            (None, Some(why)) => Fate::Exempt(why),
            (None, None) => Fate::Refused("it took no marker".to_owned()),
        }
    }
}

/// Why a marker may be in `volume` without being found there: it cannot be read, or may not have been written out yet.
fn why_blind(volume: &VolumeReport) -> Option<String> {
    match freeze_proof(volume, Standing::Unknown) {
        None | Some(FreezeProof::Proven) => None,
        Some(FreezeProof::Refuted(_)) => Some(format!("{}, not frozen", volume.kind)),
        Some(FreezeProof::Unprovable(_)) => Some(volume.kind.to_string()),
    }
}

/// Whether the marker's inode in `volume` holds the marker; or why that cannot be told.
fn holds(volume: &Volume, device: &dyn ReadAt, marker: &Marker, name: &MarkerName) -> Result<bool, String> {
    if !(volume.kind.is_ext() || volume.kind == Kind::Xfs) {
        return Ok(false);
    }
    let content = name.content(marker.device);
    match with_file(&volume.open(device), volume.kind, marker.inode, |file| is(file, &content)) {
        Ok(is_it) => Ok(is_it),
        Err(FileError::NotThere { .. } | FileError::NotRegular { .. }) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn is(file: &dyn ReadAt, content: &[u8]) -> bool {
    if file.size_bytes() != content.len() as u64 {
        return false;
    }
    let mut bytes = vec![0; content.len()];
    file.read_exact_at(&mut bytes, 0).is_ok_and(|()| bytes == content)
}

#[cfg(test)]
mod tests {
    use guest_bridge::places::Refused;

    use super::*;

    const DEVICE: DeviceNumber = DeviceNumber { major: 253, minor: 1 };

    fn mount(fs_type: &str, read_only: bool) -> Mount {
        let (mountpoint, source) = ("/srv".to_owned(), "/dev/vdb".to_owned());
        Mount {
            device: DEVICE,
            mountpoint,
            fs_type: fs_type.to_owned(),
            source,
            read_only,
            synchronous: false,
            uuid: None,
        }
    }

    fn marked() -> Marked {
        let marker = Marker { device: DEVICE, mountpoint: "/srv".to_owned(), inode: 12 };
        Marked { markers: vec![marker], ..Marked::default() }
    }

    fn on(disk: &str) -> OnVolume {
        OnVolume { origin: disk.parse().unwrap(), volume: "1".to_owned() }
    }

    fn sought<'m>(marked: &'m Marked, found: &[&str], blind: &[&str]) -> Sought<'m> {
        let found = if found.is_empty() {
            BTreeMap::new()
        } else {
            [(DEVICE, found.iter().map(|disk| on(disk)).collect())].into()
        };
        Sought { marked, found, blind: blind.iter().map(|disk| (on(disk), "LUKS".to_owned())).collect() }
    }

    #[test]
    fn a_marker_stays_in_memory_for_as_long_as_the_guest_says_and_no_longer_than_linux_does_by_itself() {
        let stays_for = |told: Option<u64>| {
            stays(&Marked { stays_unwritten: told.map(Duration::from_secs), ..Marked::default() }).as_secs()
        };
        assert_eq!([Some(30), Some(5), Some(3600), Some(0), None].map(stays_for), [29, 4, 29, 0, 9]);
    }

    #[test]
    fn a_marker_on_one_volume_says_which_and_on_several_does_not() {
        let marked = marked();
        let fate = |found: &[&str]| sought(&marked, found, &["vg/luks"]).fate(&mount("ext4", false), &[]);
        assert_eq!(fate(&["vg/data"]), Fate::Found(on("vg/data")));
        let Fate::Unseen(why) = fate(&["vg/data", "vg/clone"]) else { panic!("not unseen") };
        assert!(why.contains("vg/data volume 1, vg/clone volume 1"), "{why}");
    }

    #[test]
    fn a_marker_on_no_volume_is_missing_only_where_every_volume_could_show_it() {
        let marked = marked();
        let fate = |blind: &[&str]| sought(&marked, &[], blind).fate(&mount("ext4", false), &[]);
        assert_eq!(fate(&[]), Fate::Missing);
        let Fate::Unseen(why) = fate(&["vg/luks"]) else { panic!("not unseen") };
        assert!(why.contains("vg/luks volume 1 (LUKS)"), "{why}");
    }

    #[test]
    fn what_became_writable_after_the_survey_is_missed_as_any_other() {
        let (marked, was_read_only) = (marked(), mount("ext4", true));
        assert_eq!(sought(&marked, &[], &[]).fate(&was_read_only, &[]), Fate::Missing);
        let reason = "Permission denied".to_owned();
        let refused = vec![Refused { device: DEVICE, mountpoint: "/srv".to_owned(), reason: reason.clone() }];
        let refused = Marked { refused, ..Marked::default() };
        assert_eq!(sought(&refused, &[], &[]).fate(&was_read_only, &[]), Fate::Refused(reason));
        let none = Marked::default();
        assert!(matches!(sought(&none, &[], &[]).fate(&was_read_only, &[]), Fate::Exempt(_)));
    }

    #[test]
    fn what_is_left_out_may_be_of_any_kind() {
        let none = Marked::default();
        assert_eq!(sought(&none, &[], &[]).fate(&mount("ntfs3", false), &["/srv".to_owned()]), Fate::LeftOut);
    }
}
