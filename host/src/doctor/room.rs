//! Room for the COW volumes.

use std::collections::BTreeMap;

use lvm::Bytes;

use super::finding::{Check, Finding, Weight};
use super::seen::Seen;
use crate::backup::disk::DiskPlan;
use crate::backup::plan::{barred, refuse_without_room};

pub fn check(seen: &Seen, disks: &[DiskPlan]) -> Vec<Finding> {
    let mut found: Vec<Finding> = barred(disks)
        .into_iter()
        .map(|what| Finding::note(Check::Room, what).remedy("`pvchange -x y DEVICE`, where it may"))
        .collect();
    match refuse_without_room(disks) {
        Err(cause) => found.push(Finding::failed(Check::Room, &cause)),
        Ok(()) => {
            let mut asked: BTreeMap<&str, (Bytes, Bytes)> = BTreeMap::new();
            for DiskPlan { origin, cow, .. } in disks {
                let (asked, free) = asked.entry(&origin.vg.name).or_insert((Bytes(0), cow.room));
                (*asked, *free) = (Bytes(asked.0.saturating_add(cow.size.0)), cow.room);
            }
            found.extend(asked.iter().map(|(vg, (asked, free))| {
                Finding::fine(
                    Check::Room,
                    format!("{vg}: {free} free, of which a backup takes {asked} for COW volumes"),
                )
            }));
        }
    }
    if !seen.unfit.is_empty() {
        let unfit: Vec<String> = seen.unfit.iter().map(|(name, _)| name.to_string()).collect();
        found.push(Finding::unseen(
            Check::Room,
            Weight::Note,
            format!("room for a COW volume of {}", unfit.join(", ")),
        ));
    }
    found
}
