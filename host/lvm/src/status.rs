//! Asking device-mapper how a snapshot is.
//!
//! `lvs` reads metadata from disk, takes a lock and half a second; `dmsetup status` is one ioctl, and is the kernel's own word.

use std::time::Duration;

use super::{LvName, Lvm, LvmError, SnapshotState, snapshot_state};
use crate::programs::{Invocation, ProgramError};

/// One ioctl. A device that is being suspended answers late.
const DEADLINE: Duration = Duration::from_secs(10);

impl Lvm {
    /// Asks the kernel how a snapshot is.
    pub fn snapshot_state(&self, name: &LvName) -> Result<SnapshotState, LvmError> {
        let invocation = Invocation::new("dmsetup", DEADLINE).args(["status", &name.dm_name()]);
        match self.programs.run(&invocation) {
            Ok(output) => snapshot_state::parse(&String::from_utf8_lossy(&output.stdout))
                .map_err(|why| LvmError::Answer { command: invocation.to_string(), why }),
            Err(ProgramError::Failed { said, .. }) if said.contains("does not exist") => Ok(SnapshotState::Missing),
            Err(error) => Err(error.into()),
        }
    }
}
