//! From physical volumes to groups, and from groups to logical volumes with their places on the disk.

use std::collections::BTreeSet;

use super::group::Group;
use super::physical::{self, Found};
use crate::volume::Volume;
use crate::{Finding, ReadAt};

/// Logical volumes of one disk that are looked into. A metadata area has room for a hundred thousand.
const MAX_LOGICAL: usize = 1024;

/// Reads every physical volume among `volumes` and returns the logical volumes, to be listed after them.
///
/// What is wrong with a physical volume, or with its group, is added to its findings.
pub(crate) fn assemble(disk: &dyn ReadAt, volumes: &mut [Volume]) -> Vec<Volume> {
    let (found, groups) = physical::read_all(disk, volumes);
    let mut logical = Vec::new();
    let mut grouped = BTreeSet::new();
    for (vg, source) in groups.values() {
        let group = Group::new(vg, &found);
        grouped.extend(group.present.values().map(|found| found.volume));
        let home = group.present.values().map(|found| found.volume).min().unwrap_or(*source);
        for (place, finding) in group.judge() {
            tell(volumes, place.unwrap_or(*source), finding);
        }
        give_free_extents(&group, home, volumes);
        let room = MAX_LOGICAL - logical.len();
        logical.append(&mut logical_volumes(&group, home, room, volumes));
    }
    for pv in found.iter().filter(|pv| !grouped.contains(&pv.volume)) {
        tell(volumes, pv.volume, without_group(pv));
    }
    logical
}

fn tell(volumes: &mut [Volume], index: usize, finding: Finding) {
    if let Some(volume) = volumes.get_mut(index) {
        volume.findings.push(finding);
    }
}

fn give_free_extents(group: &Group<'_>, home: usize, volumes: &mut [Volume]) {
    match group.free() {
        Ok(free) => {
            for (volume, mut free) in free {
                if let Some(volume) = volumes.get_mut(volume) {
                    volume.free.append(&mut free);
                }
            }
        }
        Err(overlap) => tell(volumes, home, overlap),
    }
}

/// The visible logical volumes of `group`, up to `room` of them, named after the volume `home`.
fn logical_volumes(group: &Group<'_>, home: usize, room: usize, volumes: &mut [Volume]) -> Vec<Volume> {
    let Some(home_path) = volumes.get(home).map(|volume| volume.path.clone()) else { return Vec::new() };
    let visible = group.vg.lvs.iter().filter(|lv| lv.visible);
    let left_out = visible.clone().skip(room).count();
    if left_out > 0 {
        let detail = format!("{left_out} logical volumes beyond the first {MAX_LOGICAL} are not looked into");
        let place = format!("LVM2 group {}", group.vg.name);
        tell(volumes, home, Finding::unknown("lvm-too-many-volumes", place, detail));
    }
    let volume = |lv| {
        let mut volume = group.volume(&home_path, lv);
        // Nobody has seen whether one that is left out claims the same extents.
        volume.needed_whole |= left_out > 0;
        volume
    };
    visible.take(room).map(volume).collect()
}

fn without_group(pv: &Found) -> Finding {
    if pv.is_used {
        let detail = "it belongs to a volume group whose metadata is not on this disk, or cannot be read: which logical \
                      volumes lie on it is not known";
        Finding::unknown("lvm-group-elsewhere", "LVM2 header", detail)
    } else {
        Finding::note("lvm-pv-unused", "LVM2 header", "no volume group that can be read here uses it")
    }
}
