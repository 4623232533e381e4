//! Room for the COW volumes.

use std::collections::BTreeMap;

use lvm::Bytes;

use super::finding::{Check, Finding, Weight};
use super::seen::Seen;
use crate::ask::job::Job;
use crate::backup::disk::DiskPlan;
use crate::backup::dump_plan::{DumpPlan, Reason};
use crate::backup::plan::{barred, image_or_dump};
use crate::grade::Grade;

pub fn check(job: &Job, seen: &Seen, disks: &[DiskPlan]) -> Vec<Finding> {
    let mut found: Vec<Finding> = barred(disks)
        .into_iter()
        .map(|what| Finding::note(Check::Room, what).remedy("`pvchange -x y DEVICE`, where it may"))
        .collect();
    let dump = image_or_dump(job, &seen.survey, disks);
    match dump.as_ref().map(|dump| dump.as_ref().and_then(DumpPlan::instead)) {
        Err(cause) => found.push(Finding::failed(Check::Room, cause)),
        // Nothing is taken of it then.
        Ok(Some(Reason::Asked)) => {}
        Ok(Some(Reason::Planned(why) | Reason::DuringCopy(why))) => {
            found.push(Finding::at_best(Check::Room, Grade::Logical, why).because("a backup would be a dump"));
        }
        Ok(None) => {
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
