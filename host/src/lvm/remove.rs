//! Removing what this program made, and only that.

use std::time::Duration;

use super::command::{DEADLINE, QUIET};
use super::owned::{TAG, run_of};
use super::{LvName, Lvm, LvmError};
use crate::programs::Invocation;

impl Lvm {
    /// Removes a volume that this program made; one that is gone already counts as removed.
    pub fn remove(&self, name: &LvName) -> Result<(), LvmError> {
        let row = match self.lv(name) {
            Err(LvmError::NoSuchLv { .. } | LvmError::NoSuchVg { .. }) => return Ok(()),
            row => row?,
        };
        if run_of(name).is_none() || !row.has_tag(TAG) {
            return Err(LvmError::NotOurs(name.clone()));
        }
        self.run(&Invocation::new("lvremove", DEADLINE).args([
            "--yes",
            "--force",
            "--config",
            QUIET,
            &name.to_string(),
        ]))?;
        Ok(())
    }

    /// An LVM command that was killed half way can leave a device suspended, and then the guest's disk hangs, and so would its thaw.
    pub(super) fn resume_if_suspended(&self, origin: &LvName) -> Result<(), LvmError> {
        let suspended = || -> Result<bool, LvmError> {
            let info = Invocation::new("dmsetup", Duration::from_secs(5)).args([
                "info",
                "--columns",
                "--noheadings",
                "--options",
                "suspended",
                &origin.dm_name(),
            ]);
            Ok(String::from_utf8_lossy(&self.run(&info)?.stdout).trim() == "Suspended")
        };
        if !suspended()? {
            return Ok(());
        }
        tracing::error!(%origin, "the origin was left suspended; resuming it");
        let refresh = Invocation::new("lvchange", Duration::from_secs(10)).args(["--refresh", &origin.to_string()]);
        let refreshed = self.run(&refresh);
        match suspended() {
            Ok(false) => Ok(()),
            Ok(true) => {
                let cause = refreshed
                    .err()
                    .unwrap_or(LvmError::Answer { command: refresh.to_string(), why: "it is still suspended".into() });
                Err(LvmError::Suspended { origin: origin.clone(), cause: Box::new(cause) })
            }
            Err(error) => Err(error),
        }
    }
}
