//! The state of a snapshot, from device-mapper itself (Documentation/admin-guide/device-mapper/snapshot.rst).
//!
//! `lvs` reads metadata from disk, takes a lock and half a second; `dmsetup status` is one ioctl, and is the kernel's own word.

use std::time::Duration;

use super::{LvName, Lvm, LvmError, Sectors};
use crate::programs::{Invocation, ProgramError};

/// One ioctl. A device that is being suspended answers late.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a snapshot is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotState {
    /// Whole: it shows the origin as it was. A COW that is full to the last sector can still be whole.
    Active {
        /// Sectors of the COW in use, metadata included.
        used: Sectors,
        /// Sectors that the COW has.
        total: Sectors,
        /// Sectors of the COW that hold exceptions, not data.
        metadata: Sectors,
    },
    /// The COW was too small: the kernel has dropped the snapshot, and reads of it fail. It never becomes whole again.
    Invalid,
    /// The COW overflowed in a way that lets reads go on, but new writes of the origin are missing from it: as bad as invalid.
    Overflow,
    /// It is being merged into its origin.
    Merging,
    /// There is no such device.
    Missing,
    /// Something else has this name in device-mapper.
    NotASnapshot,
}

impl SnapshotState {
    /// How full the COW is, from 0 to 1; `None` unless active.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a ratio for people and forecasts
    pub fn used_ratio(&self) -> Option<f64> {
        match self {
            Self::Active { used, total, .. } if total.0 > 0 => Some(used.0 as f64 / total.0 as f64),
            _ => None,
        }
    }

    /// Whether what was read from it so far is what the origin was.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Active { .. })
    }
}

impl Lvm {
    /// Asks the kernel how a snapshot is.
    pub fn snapshot_state(&self, name: &LvName) -> Result<SnapshotState, LvmError> {
        let invocation = Invocation::new("dmsetup", DEADLINE).args(["status", &name.dm_name()]);
        match self.programs.run(&invocation) {
            Ok(output) => parse(&String::from_utf8_lossy(&output.stdout))
                .map_err(|why| LvmError::Answer { command: invocation.to_string(), why }),
            Err(ProgramError::Failed { said, .. }) if said.contains("does not exist") => Ok(SnapshotState::Missing),
            Err(error) => Err(error.into()),
        }
    }
}

/// `START LENGTH snapshot USED/TOTAL METADATA`, or a word in place of the numbers.
fn parse(status: &str) -> Result<SnapshotState, String> {
    let unknown = || format!("`{}` is no snapshot status", status.trim().chars().take(200).collect::<String>());
    let mut words = status.split_whitespace().skip(2);
    match words.next().ok_or_else(unknown)? {
        "snapshot" => {}
        "snapshot-merge" => return Ok(SnapshotState::Merging),
        _ => return Ok(SnapshotState::NotASnapshot),
    }
    let fill: Vec<&str> = words.collect();
    match fill.as_slice() {
        ["Invalid"] => Ok(SnapshotState::Invalid),
        ["Overflow"] => Ok(SnapshotState::Overflow),
        ["Merge", "failed"] => Ok(SnapshotState::Merging),
        [fill, metadata] => {
            let (used, total) = fill.split_once('/').ok_or_else(unknown)?;
            let number = |text: &str| text.parse().map(Sectors).map_err(|_| unknown());
            Ok(SnapshotState::Active { used: number(used)?, total: number(total)?, metadata: number(metadata)? })
        }
        _ => Err(unknown()),
    }
}
