//! Snapshots that the origins have already.

use lvm::ExistingSnapshot;

use super::finding::{Check, Finding};
use super::seen::Seen;

pub fn check(seen: &Seen) -> Vec<Finding> {
    let mut found = Vec::new();
    for disk in &seen.survey.disks {
        found.extend(disk.origin.snapshots.iter().map(|snapshot| of(&disk.origin.name.to_string(), snapshot)));
    }
    if found.is_empty() && !seen.survey.disks.is_empty() {
        found.push(Finding::fine(Check::Snapshots, "the disks have no snapshots"));
    }
    found
}

fn of(origin: &str, ExistingSnapshot { name, is_dead, is_ours }: &ExistingSnapshot) -> Finding {
    let whose = if *is_ours { "of a run of stillpoint" } else { "of another tool or person" };
    let finding = Finding::note(Check::Snapshots, format!("{origin} has the snapshot {name}, {whose}"));
    let finding = finding.because(match *is_dead {
        true => "its COW is full: it is good for nothing, and costs nothing but its room",
        false => "every write of the guest is slower for it, and its COW fills up",
    });
    finding.remedy(match *is_ours {
        true => format!("a run that lives removes it; else `stillpoint recover`, or `lvremove {name}`"),
        false => format!("`stillpoint clean {name}`, where nobody needs it"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(name: &str, is_dead: bool, is_ours: bool) -> Finding {
        of("vg/db", &ExistingSnapshot { name: name.parse().unwrap(), is_dead, is_ours })
    }

    #[test]
    fn a_snapshot_of_ours_is_told_from_one_of_another_tool() {
        assert!(snapshot("vg/stillpoint-r1-0", false, true).remedy.contains("stillpoint recover"));
        let other = snapshot("vg/db-backup", false, false);
        assert_eq!(other.what, "vg/db has the snapshot vg/db-backup, of another tool or person");
    }

    #[test]
    fn one_that_is_dead_is_said_to_be_good_for_nothing() {
        assert!(snapshot("vg/db-backup", true, false).why.contains("good for nothing"));
        assert!(!snapshot("vg/db-backup", false, false).why.contains("good for nothing"));
    }
}
