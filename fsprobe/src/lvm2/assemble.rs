//! From physical volumes to groups, and from groups to logical volumes with their places on the disk.

use std::collections::{BTreeMap, BTreeSet};

use super::label::{self, PvHeader};
use super::mda;
use super::vg::{Area, Lv, Mapping, Role, Segment, Vg};
use crate::map::{Map, Place};
use crate::read_at::read;
use crate::volume::Volume;
use crate::{Extent, Finding, ReadAt};

/// Logical volumes of one disk that are looked into. A metadata area has room for a hundred thousand.
const MAX_LOGICAL: usize = 1024;
/// Metadata of one disk that is read, every copy counted: a text takes up to forty times its length while it is understood.
const MAX_METADATA_BYTES: u64 = 16 << 20;

/// A physical volume on this disk.
struct Found {
    /// Index in the volumes of the disk.
    volume: usize,
    extent: Extent,
    pv_uuid: String,
    is_used: bool,
}

/// Reads every physical volume among `volumes` and returns the logical volumes, to be listed after them.
///
/// What is wrong with a physical volume is added to its findings.
pub(crate) fn assemble(disk: &dyn ReadAt, volumes: &mut [Volume]) -> Vec<Volume> {
    let mut found = Vec::new();
    let mut left_bytes = MAX_METADATA_BYTES;
    // The newest text of each group, and the volume that it was read from.
    let mut groups: BTreeMap<String, (Vg, usize)> = BTreeMap::new();
    for (index, volume) in volumes.iter_mut().enumerate() {
        let Some(extent) = volume.contiguous().filter(|_| volume.kind == crate::Kind::Lvm2Pv) else { continue };
        let mut findings = Vec::new();
        let header = read_header(volume, disk);
        match header {
            Err(why) => findings.push(Finding::damage("lvm-label-bad", "LVM2 label", why)),
            Ok(header) => {
                if header.device_size_bytes > extent.size_bytes {
                    let (says, is) = (header.device_size_bytes, extent.size_bytes);
                    let detail = format!("it says that it has {says} bytes, the volume has {is}");
                    findings.push(Finding::damage("lvm-pv-truncated", "LVM2 header", detail));
                }
                for vg in read_texts(&volume.open(disk), &header, &mut left_bytes, &mut findings) {
                    keep_newest(&mut groups, vg, index, &mut findings);
                }
                found.push(Found { volume: index, extent, pv_uuid: header.pv_uuid, is_used: header.is_used });
            }
        }
        volume.findings.append(&mut findings);
    }
    let mut logical = Vec::new();
    let mut grouped = BTreeSet::new();
    for (vg, source) in groups.values() {
        let group = Group::new(vg, &found);
        grouped.extend(group.present.values().map(|found| found.volume));
        let home_index = group.present.values().map(|found| found.volume).min().unwrap_or(*source);
        let Some(home) = volumes.get(home_index).map(|volume| volume.path.clone()) else { continue };
        for (place, finding) in group.judge() {
            if let Some(volume) = volumes.get_mut(place.unwrap_or(*source)) {
                volume.findings.push(finding);
            }
        }
        match group.free() {
            Ok(free) => {
                for (volume, mut free) in free {
                    if let Some(volume) = volumes.get_mut(volume) {
                        volume.free.append(&mut free);
                    }
                }
            }
            Err(overlap) => {
                if let Some(volume) = volumes.get_mut(home_index) {
                    volume.findings.push(overlap);
                }
            }
        }
        let visible = vg.lvs.iter().filter(|lv| lv.visible);
        let room = MAX_LOGICAL - logical.len();
        let left_out = visible.clone().skip(room).count();
        logical.extend(visible.take(room).map(|lv| {
            let mut volume = group.volume(&home, lv);
            // Nobody has seen whether one that is left out claims the same extents.
            volume.needed_whole |= left_out > 0;
            volume
        }));
        if left_out > 0
            && let Some(volume) = volumes.get_mut(home_index)
        {
            let detail = format!("{left_out} logical volumes beyond the first {MAX_LOGICAL} are not looked into");
            let place = format!("LVM2 group {}", vg.name);
            volume.findings.push(Finding::unknown("lvm-too-many-volumes", place, detail));
        }
    }
    for pv in found.iter().filter(|pv| !grouped.contains(&pv.volume)) {
        if let Some(volume) = volumes.get_mut(pv.volume) {
            volume.findings.push(if pv.is_used {
                let detail = "it belongs to a volume group whose metadata is not on this disk, or cannot be read: which \
                              logical volumes lie on it is not known";
                Finding::unknown("lvm-group-elsewhere", "LVM2 header", detail)
            } else {
                Finding::note("lvm-pv-unused", "LVM2 header", "no volume group that can be read here uses it")
            });
        }
    }
    logical
}

fn read_header(volume: &Volume, disk: &dyn ReadAt) -> Result<PvHeader, String> {
    let head = read(&volume.open(disk), 0, 2048, "LVM2 label").map_err(|error| error.to_string())?;
    label::parse(&head)
}

/// The group as each metadata area of one physical volume describes it.
fn read_texts(pv: &dyn ReadAt, header: &PvHeader, left_bytes: &mut u64, findings: &mut Vec<Finding>) -> Vec<Vg> {
    let mut groups = Vec::new();
    let mut bad = Vec::new();
    for &(offset, size) in &header.metadata_areas {
        let place = format!("LVM2 metadata area at byte {offset}");
        let text = mda::text(pv, offset, size, left_bytes);
        match text.and_then(|text| text.map(|text| Vg::parse(&text)).transpose()) {
            Ok(Some(vg)) => groups.push(vg),
            Ok(None) => {}
            Err(why) => bad.push((place, why)),
        }
    }
    // With another copy at hand a bad one costs nothing yet.
    let new = if groups.is_empty() { Finding::damage } else { Finding::warning };
    findings.extend(bad.into_iter().map(|(place, why)| new("lvm-metadata-bad", place, why)));
    groups
}

fn keep_newest(groups: &mut BTreeMap<String, (Vg, usize)>, vg: Vg, source: usize, findings: &mut Vec<Finding>) {
    let Some((kept, _)) = groups.get(&vg.id) else {
        groups.insert(vg.id.clone(), (vg, source));
        return;
    };
    if kept.seqno != vg.seqno {
        let (newest, oldest) = (kept.seqno.max(vg.seqno), kept.seqno.min(vg.seqno));
        let detail =
            format!("group {} is described twice, as of change {oldest} and of {newest}; the newer counts", vg.name);
        findings.push(Finding::warning("lvm-metadata-differs", "LVM2 metadata", detail));
    }
    if vg.seqno > kept.seqno {
        groups.insert(vg.id.clone(), (vg, source));
    }
}

/// A group and those of its physical volumes that are here.
struct Group<'g> {
    vg: &'g Vg,
    /// By the names of the text.
    present: BTreeMap<&'g str, &'g Found>,
    duplicates: Vec<(usize, &'g str)>,
}

impl<'g> Group<'g> {
    fn new(vg: &'g Vg, found: &'g [Found]) -> Self {
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
    fn judge(&self) -> Vec<(Option<usize>, Finding)> {
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

    fn area_extent(&self, area: &Area, extents: u64) -> Option<Extent> {
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

    fn volume(&self, home: &str, lv: &Lv) -> Volume {
        let mut map = Map::default();
        let mut findings = crate::Findings::default();
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

    /// Where the physical volumes here have extents that no logical volume uses, as bytes of the disk.
    ///
    /// None at all where one segment's claims are not known. The error says which extent is claimed twice.
    fn free(&self) -> Result<Vec<(usize, Vec<Extent>)>, Finding> {
        let Claims { mut by_pv, complete } = self.claims();
        let mut free = Vec::new();
        for (name, found) in &self.present {
            let Some(pv) = self.vg.pvs.get(*name) else { continue };
            let mut used = by_pv.remove(name).unwrap_or_default();
            used.sort_unstable();
            let mut at = 0;
            let mut before = "";
            let mut extents = Vec::new();
            for (start, end, lv) in used.into_iter().chain([(pv.pe_count, pv.pe_count, "")]) {
                if start < at && !lv.is_empty() {
                    let detail =
                        format!("extent {start} of {name} belongs to {before} and to {lv}; nothing is left out");
                    let place = format!("LVM2 group {}", self.vg.name);
                    return Err(Finding::damage("lvm-extent-claimed-twice", place, detail));
                }
                let gap = Area { pv: (*name).into(), start_extent: at };
                let count = start.saturating_sub(at);
                extents.extend(self.area_extent(&gap, count).filter(|gap| gap.size_bytes > 0));
                (at, before) = (at.max(end), lv);
            }
            free.push((found.volume, extents));
        }
        Ok(if complete { free } else { Vec::new() })
    }

    fn claims(&self) -> Claims<'g> {
        let mut claims = Claims { by_pv: BTreeMap::new(), complete: true };
        for lv in &self.vg.lvs {
            for segment in &lv.segments {
                match &segment.mapping {
                    Mapping::Other { names_pvs, .. } => claims.complete &= !names_pvs,
                    Mapping::Striped { areas, .. } => {
                        let each = segment.extent_count / (areas.len() as u64).max(1);
                        for area in areas {
                            let end = area.start_extent.saturating_add(each);
                            claims.by_pv.entry(&area.pv).or_default().push((area.start_extent, end, &lv.name));
                        }
                    }
                }
            }
        }
        claims
    }
}

/// Which extents the logical volumes of a group say are theirs.
struct Claims<'g> {
    /// Of each physical volume: first extent, the one after the last, and whose.
    by_pv: BTreeMap<&'g str, Vec<(u64, u64, &'g str)>>,
    /// Whether these are all: a segment of a type that is not known may have more.
    complete: bool,
}
