//! The physical volumes of a disk, and what they say of their groups.

use std::collections::BTreeMap;

use super::label::{self, PvHeader};
use super::mda;
use super::vg::Vg;
use crate::read_at::read;
use crate::volume::Volume;
use crate::{Extent, Finding, Kind, ReadAt};

/// Metadata of one disk that is read, every copy counted: a text takes up to forty times its length while it is understood.
const MAX_METADATA_BYTES: u64 = 16 << 20;

/// A physical volume on this disk.
pub(super) struct Found {
    /// Index in the volumes of the disk.
    pub(super) volume: usize,
    pub(super) extent: Extent,
    pub(super) pv_uuid: String,
    pub(super) is_used: bool,
}

/// The newest text of each group by the group's id, and the volume that it was read from.
pub(super) type Groups = BTreeMap<String, (Vg, usize)>;

/// Reads every physical volume among `volumes`. What is wrong with one is added to its findings.
pub(super) fn read_all(disk: &dyn ReadAt, volumes: &mut [Volume]) -> (Vec<Found>, Groups) {
    let mut found = Vec::new();
    let mut groups = Groups::new();
    let mut left_bytes = MAX_METADATA_BYTES;
    for (index, volume) in volumes.iter_mut().enumerate() {
        let Some(extent) = volume.contiguous().filter(|_| volume.kind == Kind::Lvm2Pv) else { continue };
        let mut findings = Vec::new();
        match read_header(volume, disk) {
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
    (found, groups)
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

fn keep_newest(groups: &mut Groups, vg: Vg, source: usize, findings: &mut Vec<Finding>) {
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
