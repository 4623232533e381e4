//! Reading all of it.

use lvm::{LvmError, Mapped, Unseen};

use super::Reach;
use super::base::interest;
use super::blocks::blocks;
use super::mounts::mounts;
use super::processes::users;
use super::run_of::runs;
use super::seen::Seen;

/// Looks at this host, and changes nothing.
///
/// # Errors
/// Where device-mapper cannot be asked. That LVM does not answer, for all groups or for some, is in what was seen.
pub fn look(reach: &Reach) -> Result<Seen, LvmError> {
    let before = reach.lvm.mapped()?;
    let mut inventory = reach.lvm.inventory();
    let mapped = reach.lvm.mapped()?;
    inventory.unseen.extend(passed_over(&before, &mapped));
    let standing = before.into_iter().map(|device| device.uuid).collect();
    let numbers: Vec<&str> = mapped.iter().map(|device| &*device.number).collect();
    let (blocks, mounts) = (blocks(&reach.roots, &numbers), mounts(&reach.roots));
    let runs = runs(&inventory.volumes, &reach.state_dir);
    let mut seen = Seen { inventory, mapped, standing, blocks, mounts, users: Vec::new(), runs };
    seen.users = users(&reach.roots, &interest(&seen));
    Ok(seen)
}

/// LVM does not wait for devices that are suspended, and sees no group that lies on one. Those that were it before and after LVM was
/// asked were it meanwhile, too; a snapshot that is just being taken suspends its origin for a moment.
fn passed_over(before: &[Mapped], after: &[Mapped]) -> Vec<Unseen> {
    let is_suspended = |name: &str| before.iter().any(|device| device.name == name && device.is_suspended);
    let suspended = after.iter().filter(|device| device.is_suspended && is_suspended(&device.name));
    let why = "it is suspended, and whoever reads it waits: a volume group on it is not seen (`dmsetup info -c`)";
    suspended.map(|device| Unseen { device: Some(device.name.clone()), why: why.to_owned(), vg: None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::recorded::mapped;

    #[test]
    fn a_device_that_stays_suspended_is_named_and_one_that_was_it_for_a_moment_is_not() {
        let device =
            |name, is_suspended| Mapped { is_suspended, ..mapped(name, "", "254:9", "8:0", "0 8 linear 8:0 0") };
        let [stuck, moment, well] = ["stuck", "moment", "well"];
        let before = [device(stuck, true), device(moment, true), device(well, false)];
        let after = [device(stuck, true), device(moment, false), device(well, true)];
        let named: Vec<Option<String>> = passed_over(&before, &after).into_iter().map(|unseen| unseen.device).collect();
        assert_eq!(named, [Some(stuck.to_owned())]);
    }
}
