//! Which findings a person has named. All of them can be acted on, or nothing is done.

use std::collections::BTreeMap;

use lvm::{LvName, LvmError, Unseen};

use super::finding::{Finding, Refusal};
use super::seen::Seen;
use crate::failure::{Cause, Kind};

/// The findings of these names, each once. `guests` are disks of known VMs, each with its VM. With `thin` thin snapshots are meant,
/// too.
///
/// # Errors
/// For the first name that is nothing to clean up: why.
pub fn choose(
    found: &[Finding],
    seen: &Seen,
    guests: &BTreeMap<LvName, String>,
    names: &[LvName],
    thin: bool,
) -> Result<Vec<Finding>, Cause> {
    let mut chosen: Vec<Finding> = Vec::new();
    for name in names {
        if let Some(vm) = guests.get(name) {
            let what = format!("{name} is left alone: it is a disk of the VM {vm} in the configuration");
            return Err(Cause::plain(Kind::NotForClean, what));
        }
        let finding =
            found.iter().find(|finding| finding.volume.as_ref() == Some(name)).ok_or_else(|| none(name, seen))?;
        let refusal = finding.refusal.as_ref().filter(|refusal| !(thin && **refusal == Refusal::Thin));
        if let Some(refusal) = refusal {
            return Err(refused(name, refusal));
        }
        if !chosen.contains(finding) {
            chosen.push(finding.clone());
        }
    }
    Ok(chosen)
}

fn refused(name: &LvName, refusal: &Refusal) -> Cause {
    let what = format!("{name} is left alone: {refusal}");
    match refusal {
        Refusal::Dead(_) => Cause::new(Kind::NotForClean, what, "`stillpoint recover`"),
        _ => Cause::plain(Kind::NotForClean, what),
    }
}

/// Why a name is no finding.
fn none(name: &LvName, seen: &Seen) -> Cause {
    let inventory = &seen.inventory;
    if let Some(volume) = inventory.volumes.iter().find(|volume| volume.name == *name) {
        let snapshots = inventory
            .volumes
            .iter()
            .filter(|other| other.name.vg() == name.vg() && other.origin.as_deref() == Some(name.lv()));
        let snapshots: Vec<String> = snapshots.map(|snapshot| snapshot.name.to_string()).collect();
        let is_what = match &*snapshots {
            [] => "no snapshot".to_owned(),
            snapshots => format!("an origin, of {}", snapshots.join(", ")),
        };
        let open = if volume.attr.chars().nth(5) == Some('o') { ", and it is in use" } else { "" };
        return Cause::plain(Kind::NotForClean, format!("{name} is left alone: it is {is_what}{open}"));
    }
    let unseen = |unseen: &&Unseen| unseen.vg.as_deref().is_none_or(|vg| vg == name.vg());
    match inventory.unseen.iter().find(unseen) {
        Some(Unseen { device, why, .. }) => {
            let hint = "`dmsetup info -c` shows what is suspended, and `dmesg` whether a disk fails";
            let on = device.as_ref().map(|device| format!("perhaps it lies on {device}: ")).unwrap_or_default();
            Cause::refused(format!("{name}: its volume group could not be looked at: {on}{why}"), hint)
        }
        None => LvmError::NoSuchLv { name: name.clone(), near: Vec::new() }.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::find::find;
    use crate::clean::recorded::{host, volume};
    use crate::failure::exit::Exit;
    use crate::failure::table::row;

    fn chosen(seen: &Seen, name: &str, thin: bool) -> Result<Vec<Finding>, (Exit, String)> {
        let name: LvName = name.parse().unwrap();
        let guests = BTreeMap::from([("vg/web".parse().unwrap(), "web1".to_owned())]);
        choose(&find(seen), seen, &guests, &[name.clone(), name], thin)
            .map_err(|cause| (row(cause.kind, false).exit, cause.to_string()))
    }

    #[test]
    fn a_snapshot_that_is_named_twice_is_chosen_once() {
        assert_eq!(chosen(&host(), "vg/snap", false).unwrap().len(), 1);
    }

    #[test]
    fn an_origin_and_an_ordinary_volume_are_refused_with_what_they_are() {
        let mut seen = host();
        let origin = "vg/db is left alone: it is an origin, of vg/snap, and it is in use".to_owned();
        assert_eq!(chosen(&seen, "vg/db", true).unwrap_err(), (Exit::Usage, origin));
        seen.inventory.volumes.push(volume('r', "vg/root", "-wi-a-----", ""));
        let ordinary = "vg/root is left alone: it is no snapshot".to_owned();
        assert_eq!(chosen(&seen, "vg/root", true).unwrap_err(), (Exit::Usage, ordinary));
    }

    #[test]
    fn a_thin_snapshot_goes_only_where_that_is_said() {
        let mut seen = host();
        seen.inventory.volumes.push(volume('t', "vg/clone", "Vwi---tz-k", "thin"));
        let (exit, why) = chosen(&seen, "vg/clone", false).unwrap_err();
        assert!(exit == Exit::Usage && why.contains("--thin"), "{why}");
        assert_eq!(chosen(&seen, "vg/clone", true).unwrap().len(), 1);
    }

    #[test]
    fn a_disk_of_a_vm_that_is_configured_is_refused_even_if_it_is_a_snapshot() {
        let mut seen = host();
        seen.inventory.volumes.push(volume('w', "vg/web", "Vwi---tz-k", "template"));
        let refused = "vg/web is left alone: it is a disk of the VM web1 in the configuration".to_owned();
        assert_eq!(chosen(&seen, "vg/web", true).unwrap_err(), (Exit::Usage, refused));
    }

    #[test]
    fn what_is_not_there_is_told_from_what_could_not_be_looked_at() {
        let mut seen = host();
        assert_eq!(chosen(&seen, "vg/nothing", false).unwrap_err().0, Exit::Usage);
        seen.inventory.unseen.push(Unseen { vg: Some("stuck".to_owned()), device: None, why: "no answer".to_owned() });
        assert_eq!(chosen(&seen, "vg/nothing", false).unwrap_err().0, Exit::Usage);
        let (exit, why) = chosen(&seen, "stuck/snap", false).unwrap_err();
        assert_eq!((exit, &*why), (Exit::Failed, "stuck/snap: its volume group could not be looked at: no answer"));
    }
}
