//! Asking device-mapper how a snapshot is, or all of its devices.
//!
//! `lvs` reads metadata from disk, takes a lock and half a second. This is one ioctl, and the kernel's own word; a program where the
//! kernel cannot be asked directly.

use std::time::Duration;

use super::{DmStatus, LvName, Lvm, LvmError, SnapshotState, snapshot_state};
use crate::programs::{Invocation, ProgramError};

/// One ioctl. A device that is being suspended answers late.
const DEADLINE: Duration = Duration::from_secs(10);

impl Lvm {
    /// Asks the kernel how a snapshot is.
    pub fn snapshot_state(&self, name: &LvName) -> Result<SnapshotState, LvmError> {
        let dm_name = name.dm_name();
        let invocation = Invocation::new("dmsetup", DEADLINE).args(["status", &dm_name]);
        let no_sense = |why| LvmError::Answer { command: invocation.to_string(), why };
        match self.programs.dm_statuses(Some(&dm_name)) {
            Some(Ok(statuses)) => {
                let parsed =
                    statuses.first().map_or(Ok(SnapshotState::Missing), |it| snapshot_state::of(&it.target, &it.words));
                return parsed.map_err(no_sense);
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the kernel cannot be asked for a snapshot's status, so dmsetup is")
            }
            None => {}
        }
        match self.programs.run(&invocation) {
            Ok(output) => snapshot_state::parse(&String::from_utf8_lossy(&output.stdout)).map_err(no_sense),
            Err(ProgramError::Failed { said, .. }) if said.contains("does not exist") => Ok(SnapshotState::Missing),
            Err(error) => Err(error.into()),
        }
    }

    /// What device-mapper says of the first target of each of its devices.
    pub fn statuses(&self) -> Result<Vec<DmStatus>, LvmError> {
        if let Some(Ok(statuses)) = self.programs.dm_statuses(None) {
            return Ok(statuses);
        }
        let invocation = Invocation::new("dmsetup", DEADLINE).arg("status");
        let said = self.run(&invocation)?.stdout;
        let said = String::from_utf8_lossy(&said);
        let mut statuses: Vec<DmStatus> = said.lines().filter_map(line).collect();
        // Of a device in several pieces the first target is the first line.
        statuses.dedup_by(|later, first| later.device == first.device);
        Ok(statuses)
    }
}

/// `NAME: START LENGTH TARGET WORDS`.
fn line(line: &str) -> Option<DmStatus> {
    let (device, rest) = line.trim().split_once(": ")?;
    let mut words = rest.splitn(4, ' ').skip(2);
    let (target, words) = (words.next()?.to_owned(), words.next().unwrap_or_default().trim().to_owned());
    Some(DmStatus { device: device.to_owned(), target, words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_dmsetup_has_device_target_and_words() {
        let read = line("vg-snap: 0 614400 snapshot 16/40960 16").unwrap();
        assert_eq!((&*read.device, &*read.target, &*read.words), ("vg-snap", "snapshot", "16/40960 16"));
        let linear = line("vg-root: 0 4194304 linear ").unwrap();
        assert_eq!((&*linear.target, &*linear.words), ("linear", ""));
        assert_eq!(line("No devices found"), None);
    }
}
