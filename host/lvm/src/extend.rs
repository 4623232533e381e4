//! More room for the COW of a snapshot that is in use.

use std::time::Duration;

use super::command::QUIET;
use super::{Bytes, LvmError, SnapshotVolume};
use crate::programs::Invocation;

impl SnapshotVolume {
    /// Makes its COW as large as `size`, which has to be more than it has, in whole extents. LVM suspends the origin for a moment, and waits
    /// for whoever holds the lock of the group.
    ///
    /// # Errors
    /// Where the group has no room, or LVM refuses or is not done within `deadline`: the COW may be larger all the same.
    /// [`LvmError::Suspended`] where the origin may still be suspended.
    pub fn extend(&self, size: Bytes, deadline: Duration) -> Result<(), LvmError> {
        let (name, size) = (self.name().to_string(), format!("{}b", size.0));
        let lvextend = Invocation::new("lvextend", deadline).args(["--yes", "--config", QUIET, "--size", &size, &name]);
        if let Err(cause) = self.lvm().programs.run(&lvextend) {
            // Where anything was suspended, the origin is looked at once more when the snapshot is removed.
            self.lvm().resume_after_attach(self.name(), self.origin(), &cause)?;
            return Err(cause.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::simulated::{Fault, SimulatedLvm};
    use crate::{Lvm, RunId, Sectors, SnapshotState};

    const DEADLINE: Duration = Duration::from_secs(5);

    fn snapshot(dev: &std::path::Path) -> (Arc<SimulatedLvm>, SnapshotVolume) {
        let simulated = Arc::new(SimulatedLvm::new(dev, drop));
        simulated.add_vg("vg", Bytes(100 << 20));
        let origin = "vg/db".parse().unwrap();
        simulated.add_lv(&origin, &[1; 4096]);
        let lvm = Lvm::with_device_dir(simulated.clone(), dev);
        let name = "r1".parse::<RunId>().unwrap().volume("vg", 0).unwrap();
        let cow = lvm.create_cow(&lvm.origin(&origin).unwrap(), name, Bytes(8 << 20)).unwrap();
        (simulated, cow.attach(DEADLINE).unwrap())
    }

    fn total(snapshot: &SnapshotVolume) -> Bytes {
        match snapshot.state().unwrap() {
            SnapshotState::Active { total, .. } => Sectors::bytes(total),
            state => panic!("{state:?}"),
        }
    }

    #[test]
    fn a_cow_that_is_extended_has_more_room_and_keeps_what_is_in_it() {
        let dev = tempfile::tempdir().unwrap();
        let (simulated, snapshot) = snapshot(dev.path());
        simulated.fill_cow(snapshot.name(), Bytes(6 << 20));
        snapshot.extend(Bytes(16 << 20), DEADLINE).unwrap();
        assert_eq!(total(&snapshot), Bytes(16 << 20));
        assert!(snapshot.state().unwrap().used_ratio().unwrap() > 0.3);
    }

    #[test]
    fn more_than_the_group_has_is_refused_and_the_cow_stays_as_it_is() {
        let dev = tempfile::tempdir().unwrap();
        let (_, snapshot) = snapshot(dev.path());
        let refused = snapshot.extend(Bytes(200 << 20), DEADLINE).unwrap_err();
        assert!(refused.to_string().contains("nsufficient free space"), "{refused}");
        assert_eq!(total(&snapshot), Bytes(8 << 20));
    }

    #[test]
    fn an_extension_that_fails_half_way_leaves_no_origin_suspended() {
        let dev = tempfile::tempdir().unwrap();
        let (simulated, snapshot) = snapshot(dev.path());
        simulated.fail_program("lvextend", 1, Fault::LeavesSuspended);
        snapshot.extend(Bytes(16 << 20), DEADLINE).unwrap_err();
        assert!(!simulated.is_suspended(snapshot.origin()));
    }
}
