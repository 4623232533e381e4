//! Which extents of a group are claimed, and which are free.

use std::collections::BTreeMap;

use super::group::Group;
use super::vg::{Area, Mapping};
use crate::{Extent, Finding};

/// Which extents the logical volumes of a group say are theirs.
struct Claims<'g> {
    /// Of each physical volume: first extent, the one after the last, and whose.
    by_pv: BTreeMap<&'g str, Vec<(u64, u64, &'g str)>>,
    /// Whether these are all: a segment of a type that is not known may have more.
    complete: bool,
}

impl<'g> Group<'g> {
    /// Where the physical volumes here have extents that no logical volume uses, as bytes of the disk.
    ///
    /// None at all where one segment's claims are not known. The error says which extent is claimed twice.
    pub(super) fn free(&self) -> Result<Vec<(usize, Vec<Extent>)>, Finding> {
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
