//! Where things lie in the guest: its filesystems, what its paths lie on; and markers, by which a filesystem of the guest is known again
//! on a disk of the host.
//!
//! Each question is one `guest-exec` of a fixed script (`places.sh`), so they can be asked only while the agent executes programs: not in
//! a freeze, and not where `guest-exec` is blocked. Nothing is written but the markers.
//!
//! What the script prints comes from inside the guest and is untrusted: it is bounded, and a line that cannot be read is an error.

mod beside;
mod device_number;
mod error;
mod lies_on;
mod loops;
mod marker;
mod marking;
mod mount;
mod mountinfo;
mod script;
#[cfg(any(test, feature = "scripted"))]
mod simulated;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

pub use beside::Served;
pub use device_number::DeviceNumber;
pub use error::PlacesError;
pub use loops::LoopMount;
pub use marker::MarkerName;
pub use marking::{FilePlace, Marked, Marker, Refused, Unmarked, mark, unmark};
pub use mount::Mount;
#[cfg(any(test, feature = "scripted"))]
pub use simulated::SimulatedPlaces;

use crate::agent::Agent;
use lies_on::Told;
use mountinfo::{Uuids, mounts, on_untold_devices};
use script::{BY_UUID, MOUNTINFO, ask, path_lines};

/// How many places are told besides the paths that were asked about.
const MAX_FOUND: usize = 1000;

/// A path of the guest, and what it lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path, as it was asked about or found.
    pub path: PathBuf,
    /// What it lies on, symlinks followed; or why that is not known, such as that it does not exist.
    pub on: Result<On, String>,
}

/// The filesystem that a path lies on: also one that lies on no device, such as tmpfs and overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct On {
    /// Its device, as the kernel's table of mounts has it.
    pub device: DeviceNumber,
    /// Where it is mounted.
    pub mountpoint: String,
    /// Its type, as the kernel calls it.
    pub fs_type: String,
}

/// What [`look`] saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The filesystems on block devices, each once.
    pub mounts: Vec<Mount>,
    /// The types of those that can be written to and lie on devices that nothing tells, such as zfs.
    pub on_untold_devices: Vec<String>,
    /// Those of `mounts` that lie in a file of another filesystem.
    pub loops: Vec<LoopMount>,
    /// Filesystems that another machine or a program keeps, such as NFS and FUSE.
    pub served: Vec<Served>,
    /// Where filesystems of `mounts` are mounted a second time, whole or in part (bind mounts).
    pub mounted_again: Vec<String>,
    /// The paths that were asked about, in their order, and behind them what leads out of them.
    pub paths: Vec<Place>,
    /// More leads out of them than is told here, or not all of them could be looked through.
    pub more: bool,
}

/// Asks the guest for its filesystems and for what each of `paths` lies on. Of a path that is a folder also
///
/// * symlinks in it, and in the folders in it, whose target is not in it (schemas elsewhere, MyISAM's `DATA DIRECTORY`),
/// * mountpoints beneath it,
///
/// each as a place of its own, at most 1000 of them. Other filesystems are not looked through.
///
/// # Errors
/// See [`PlacesError`].
pub async fn look(agent: &mut dyn Agent, paths: &[PathBuf], deadline: Duration) -> Result<Places, PlacesError> {
    // Two lines a link, and one link more, which says that there are more.
    let lines = ((MAX_FOUND + 1) * 2).to_string();
    let parts = ask(agent, &["look", MOUNTINFO, BY_UUID, &lines], path_lines(paths)?, deadline).await?;
    let [table, uuids, told, loops] = parts.as_slice() else {
        return Err(PlacesError::Unexpected { detail: format!("it has {} parts in place of 4", parts.len()) });
    };
    let table = mountinfo::table(table)?;
    let uuids = Uuids::parse(uuids, Path::new(BY_UUID))?;
    let mut lines = told.iter().map(Vec::as_slice);
    let asked = paths.iter().map(|path| Ok((path.clone(), Told::read(lines.next())?)));
    let mut told = asked.collect::<Result<Vec<_>, PlacesError>>()?;
    let (links, mut more) = Told::read_links(&mut lines)?;
    told.extend(links);

    let mut paths: Vec<Place> = told[..paths.len()].iter().map(|(path, told)| told.place(path, &table)).collect();
    let mut known: BTreeSet<PathBuf> = paths.iter().map(|place| place.path.clone()).collect();
    let links = told[paths.len()..].iter().map(|(path, told)| told.place(path, &table));
    let beneath = told.iter().flat_map(|(_, told)| told.mountpoints_beneath(&table));
    let asked = paths.len();
    for place in links.chain(beneath) {
        if paths.len() - asked == MAX_FOUND {
            more = true;
            break;
        }
        if known.insert(place.path.clone()) {
            paths.push(place);
        }
    }
    let mounts = mounts(&table, &uuids)?;
    Ok(Places {
        loops: loops::loops(&table, &mounts, &loops::files(loops)?),
        mounts,
        on_untold_devices: on_untold_devices(&table),
        served: beside::served(&table),
        mounted_again: beside::mounted_again(&table),
        paths,
        more,
    })
}
