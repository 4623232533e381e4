//! The COW volume, made before the window, and the one command inside the window that makes it a snapshot.

use std::time::Duration;

use super::command::{DEADLINE, QUIET, fast_config};
use super::group_lock::AT_THE_LOCK;
use super::owned::TAG;
use super::{Bytes, LvName, Lvm, LvmError, Origin, SnapshotVolume};
use crate::programs::{Invocation, ProgramError};

/// The unit in which the COW grows, LVM's own default. The COW should last, so it takes exactly what the guest writes: for 16 KiB pages
/// at random 4 KiB blocks, 1.0 times their size; it was 1.7 times with chunks of 16 KiB, and more with larger ones.
const CHUNK: &str = "4k";

/// An empty COW volume for one origin. [`Lvm::remove`] removes it.
#[derive(Debug, Clone)]
pub struct CowVolume {
    lvm: Lvm,
    name: LvName,
    size: Bytes,
    origin: LvName,
    devices: Vec<String>,
}

impl Lvm {
    /// Makes and wipes a COW volume called `name` for a snapshot of `origin`, of at least `size`. Takes seconds: before the window.
    ///
    /// # Errors
    /// Where the group has no room, or LVM refuses. The volume may be there all the same: remove it.
    pub fn create_cow(&self, origin: &Origin, name: LvName, size: Bytes) -> Result<CowVolume, LvmError> {
        let vg = self.volume_group(origin.name.vg())?;
        let size = size.round_up(vg.extent_size);
        if size > vg.free {
            return Err(LvmError::NoRoom { vg: vg.name, needed: size, free: vg.free });
        }
        let size_arg = format!("{}b", size.0);
        self.run(&Invocation::new("lvcreate", DEADLINE).args([
            "--yes",
            "--config",
            QUIET,
            "--type",
            "linear",
            "--wipesignatures",
            "y",
            "--zero",
            "y",
            "--addtag",
            TAG,
            "--name",
            name.lv(),
            "--size",
            &size_arg,
            name.vg(),
        ]))?;
        // Wiping needs the node, and udev probes it. Inactive, nobody can hold it open when it is converted: that would cost the window
        // 5 s, and the snapshot.
        self.run(&Invocation::new("lvchange", DEADLINE).args([
            "--config",
            QUIET,
            "--activate",
            "n",
            &name.to_string(),
        ]))?;
        Ok(CowVolume { lvm: self.clone(), name, size, origin: origin.name.clone(), devices: vg.devices })
    }
}

impl CowVolume {
    /// Its name, which will be the snapshot's.
    #[must_use]
    pub fn name(&self) -> &LvName {
        &self.name
    }

    /// The volume that it is for.
    #[must_use]
    pub fn origin(&self) -> &LvName {
        &self.origin
    }

    /// Its size, in whole extents.
    #[must_use]
    pub fn size(&self) -> Bytes {
        self.size
    }

    /// Takes the snapshot now: the one LVM command inside the window. [`Lvm::make_ready`] has most of it done before the window.
    ///
    /// After an error the snapshot may exist or not ([`ProgramError::TimedOut`]); the origin
    /// is not left suspended, or the error is [`LvmError::Suspended`].
    pub fn attach(&self, deadline: Duration) -> Result<SnapshotVolume, LvmError> {
        let lvconvert = self.lvconvert(deadline, &fast_config(&self.devices));
        if let Err(cause) = self.lvm.programs.run(&lvconvert) {
            self.resume_origin(&cause)?;
            return Err(cause.into());
        }
        Ok(self.attached())
    }

    /// The command that makes it a snapshot, and first waits for the lock of the group, without going through its door.
    pub(super) fn lvconvert_at_the_lock(&self, deadline: Duration) -> Invocation {
        self.lvconvert(deadline, &format!("{} {AT_THE_LOCK}", fast_config(&self.devices)))
    }

    /// After its `lvconvert` failed or was ended.
    pub(super) fn resume_origin(&self, cause: &ProgramError) -> Result<(), LvmError> {
        self.lvm.resume_after_attach(&self.name, &self.origin, cause)
    }

    /// The snapshot that it is once the command has succeeded.
    pub(super) fn attached(&self) -> SnapshotVolume {
        SnapshotVolume::new(self.lvm.clone(), self.name.clone(), self.origin.clone())
    }

    fn lvconvert(&self, deadline: Duration, config: &str) -> Invocation {
        let (origin, name) = (self.origin.to_string(), self.name.to_string());
        Invocation::new("lvconvert", deadline).args([
            "--yes",
            "--config",
            config,
            "--noudevsync",
            "--type",
            "snapshot",
            "--zero",
            "n",
            "--chunksize",
            CHUNK,
            &origin,
            &name,
        ])
    }
}
