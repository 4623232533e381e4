//! Reading all of it.

use lvm::LvmError;

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
    let standing = reach.lvm.mapped()?.into_iter().map(|device| device.uuid).collect();
    let inventory = reach.lvm.inventory();
    let mapped = reach.lvm.mapped()?;
    let numbers: Vec<&str> = mapped.iter().map(|device| &*device.number).collect();
    let (blocks, mounts) = (blocks(&reach.roots, &numbers), mounts(&reach.roots));
    let runs = runs(&inventory.volumes, &reach.state_dir);
    let mut seen = Seen { inventory, mapped, standing, blocks, mounts, users: Vec::new(), runs };
    seen.users = users(&reach.roots, &interest(&seen));
    Ok(seen)
}
