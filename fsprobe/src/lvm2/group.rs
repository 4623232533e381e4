//! A volume group: which of its physical volumes are here, and where on the disk its logical volumes are.

use std::collections::BTreeMap;

use super::physical::Found;
use super::vg::{Area, Lv, Mapping, Role, Segment, Vg};
use crate::map::{Map, Place};
use crate::volume::Volume;
use crate::{Extent, Finding, Findings};

/// A group and those of its physical volumes that are here.
pub(super) struct Group<'g> {
    pub(super) vg: &'g Vg,
    /// By the names of the text.
    pub(super) present: BTreeMap<&'g str, &'g Found>,
    duplicates: Vec<(usize, &'g str)>,
}

impl<'g> Group<'g> {
    pub(super) fn new(vg: &'g Vg, found: &'g [Found]) -> Self {
        let mut present = BTreeMap::new();
        let mut duplicates = Vec::new();
        for (name, pv) in &vg.pvs {
            let mut same = found.iter().filter(|found| found.pv_uuid == pv.id);
            if let Some(first) = same.next() {
                present.insert(name.as_str(), first);
            }
            duplicates.extend(same.map(|other| (other.volume, name.as_str())));
        }
        Self { vg, present, duplicates }
    }

    /// What is wrong with the group as a whole, and the volume that it is said of.
    pub(super) fn judge(&self) -> Vec<(Option<usize>, Finding)> {
        let mut findings = Vec::new();
        let place = format!("LVM2 group {}", self.vg.name);
        let missing = self.vg.pvs.len() - self.present.len();
        if missing > 0 {
            let detail = format!("{missing} of its {} physical volumes are not on this disk", self.vg.pvs.len());
            findings.push((None, Finding::warning("lvm-group-incomplete", &place, detail)));
        }
        for (volume, name) in &self.duplicates {
            let detail = format!("a second volume has the UUID of {name}; the first is used");
            findings.push((Some(*volume), Finding::unknown("lvm-duplicate-pv", &place, detail)));
        }
        findings
    }

    pub(super) fn area_extent(&self, area: &Area, extents: u64) -> Option<Extent> {
        let pv = self.vg.pvs.get(&area.pv)?;
        let within = area.start_extent.checked_mul(self.vg.extent_size_bytes)?.checked_add(pv.pe_start_bytes)?;
        let size = extents.checked_mul(self.vg.extent_size_bytes)?;
        let here = self.present.get(area.pv.as_str())?.extent;
        let inside =
            within.checked_add(size)? <= here.size_bytes && area.start_extent.checked_add(extents)? <= pv.pe_count;
        inside.then(|| Extent::new(here.offset_bytes.saturating_add(within), size))
    }

    fn place(&self, segment: &Segment) -> Result<Place, Finding> {
        let place = format!("extents {} + {}", segment.start_extent, segment.extent_count);
        match &segment.mapping {
            Mapping::Other { type_name, .. } => {
                let detail = format!("they are of type {type_name:?}, which cannot be read from the disk alone");
                Err(Finding::unknown("lv-type-unsupported", place, detail))
            }
            Mapping::Striped { stripe_size_bytes, areas } => {
                let each = segment.extent_count / (areas.len() as u64).max(1);
                let mut starts = Vec::new();
                for area in areas {
                    if !self.present.contains_key(area.pv.as_str()) {
                        let id = self.vg.pvs.get(&area.pv).map_or("", |pv| pv.id.as_str());
                        let detail =
                            format!("they are on physical volume {} (UUID {id}), which is not on this disk", area.pv);
                        return Err(Finding::unknown("lv-needs-other-pv", place, detail));
                    }
                    let Some(extent) = self.area_extent(area, each) else {
                        let detail = format!("they end past the end of physical volume {}", area.pv);
                        return Err(Finding::damage("lv-beyond-pv", place, detail));
                    };
                    starts.push(extent.offset_bytes);
                }
                let even = *stripe_size_bytes == 0
                    || each.saturating_mul(self.vg.extent_size_bytes).is_multiple_of(*stripe_size_bytes);
                match starts.as_slice() {
                    [start] => Ok(Place::Linear(*start)),
                    _ if even => Ok(Place::Striped { stripe_size_bytes: *stripe_size_bytes, areas: starts }),
                    _ => {
                        Err(Finding::damage("lv-bad-stripes", place, "their areas are no multiple of the stripe size"))
                    }
                }
            }
        }
    }

    pub(super) fn volume(&self, home: &str, lv: &Lv) -> Volume {
        let mut map = Map::default();
        let mut findings = Findings::default();
        for segment in &lv.segments {
            let size = segment.extent_count.saturating_mul(self.vg.extent_size_bytes);
            let store = lv.snapshot == Some(Role::Store);
            let place = if store { Ok(Place::Elsewhere) } else { self.place(segment) };
            map.push(
                size,
                place.unwrap_or_else(|finding| {
                    findings.push(finding);
                    Place::Elsewhere
                }),
            );
        }
        match lv.snapshot {
            Some(Role::Store) => {
                let detail =
                    "it is a snapshot: its content is its origin's with the exceptions stored here, which are not read";
                findings.push(Finding::unknown("lv-type-unsupported", "LVM2 metadata", detail));
            }
            Some(Role::Merging) => {
                let detail = "a snapshot is being merged into it: its content is not yet all in its own extents";
                findings.push(Finding::unknown("lv-merging", "LVM2 metadata", detail));
            }
            Some(Role::Origin) => {
                findings.push(Finding::note(
                    "lv-origin",
                    "LVM2 metadata",
                    "it has snapshots, which need every block of it",
                ));
            }
            None => {}
        }
        let mut volume = Volume::new(format!("{home}/{}/{}", self.vg.name, lv.name), map);
        volume.needed_whole = lv.snapshot.is_some();
        volume.findings = findings.into_vec();
        volume
    }
}
