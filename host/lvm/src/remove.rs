//! Removing what this program made, and only that.

use std::thread;
use std::time::Duration;

use super::command::{DEADLINE, QUIET};
use super::owned::{TAG, is_ours};
use super::{LvName, Lvm, LvmError};
use crate::programs::{Invocation, ProgramError};

/// How often a removal is tried that udev or another LVM command may have got in the way of. lvremove itself already waits 5 s each time.
const ATTEMPTS: u32 = 4;

impl Lvm {
    /// Removes a volume that this program made; one that is gone already counts as removed.
    ///
    /// # Errors
    /// [`LvmError::NotOurs`] without our tag and name. [`LvmError::Busy`] with its holders when it is in use; only what heals by itself
    /// is tried again. [`LvmError::Suspended`] where its attach ended half way, and the origin may still be suspended.
    pub fn remove(&self, name: &LvName) -> Result<(), LvmError> {
        self.remove_volume(name)?;
        self.refresh_after_removal(name)
    }

    fn remove_volume(&self, name: &LvName) -> Result<(), LvmError> {
        let Some(row) = self.lv_if_there(name)? else { return Ok(()) };
        if !is_ours(name) || !row.has_tag(TAG) {
            return Err(LvmError::NotOurs(name.clone()));
        }
        let lvremove =
            Invocation::new("lvremove", DEADLINE).args(["--yes", "--force", "--config", QUIET, &name.to_string()]);
        self.lvremove(&lvremove, name, LvName::new(name.vg(), &row.origin).ok())
    }

    /// Removes a thick snapshot, or a thin one, that anybody made and that a person has named; one that is gone already counts as
    /// removed.
    ///
    /// # Errors
    /// [`LvmError::Replaced`] where another volume has that name, or it is a snapshot no more. Otherwise as [`Lvm::remove`].
    pub fn remove_snapshot(&self, name: &LvName, lv_uuid: &str) -> Result<(), LvmError> {
        let Some(volume) = self.volume(name)? else { return Ok(()) };
        let is_it = volume.lv_uuid == lv_uuid && (volume.is_thick_snapshot() || volume.is_thin_snapshot());
        if !is_it || volume.is_merging() {
            return Err(LvmError::Replaced(name.clone()));
        }
        // What a thin snapshot comes from stands by itself, and is not suspended for it.
        let origin = volume.origin.filter(|_| volume.attr.starts_with('s'));
        let origin = origin.and_then(|origin| LvName::new(name.vg(), &origin).ok());
        self.lvremove(&lvremove_command(name, lv_uuid), name, origin)
    }

    /// Runs `lvremove`, again for as long as only what heals by itself is in its way, and no more than some times.
    fn lvremove(&self, lvremove: &Invocation, name: &LvName, origin: Option<LvName>) -> Result<(), LvmError> {
        let mut attempt = 1;
        loop {
            let Err(cause) = self.programs.run(lvremove) else { return Ok(()) };
            if let Some(origin) = &origin {
                self.resume_if_suspended(origin, &cause)?;
            }
            // Half done or its answer lost: what counts is whether the volume is there.
            if self.lv_if_there(name)?.is_none() {
                return Ok(());
            }
            if !says_busy(&cause) {
                return Err(cause.into());
            }
            let holders = self.holders(name);
            if attempt == ATTEMPTS || holders.iter().any(|holder| !holder.is_transient()) {
                return Err(LvmError::Busy { name: name.clone(), holders, cause: Box::new(cause) });
            }
            tracing::warn!(%name, attempt, error = %cause, ?holders, "the volume is busy for the moment; trying again to remove it");
            self.settle(Duration::from_secs(5));
            thread::sleep(Duration::from_millis(200) * attempt);
            attempt += 1;
        }
    }

    fn lv_if_there(&self, name: &LvName) -> Result<Option<super::report::LvRow>, LvmError> {
        match self.lv(name) {
            Ok(row) => Ok(Some(row)),
            Err(LvmError::NoSuchLv { .. } | LvmError::NoSuchVg { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until udev has nothing to do, or the limit has passed: whoever needs the result looks for itself.
    pub(super) fn settle(&self, limit: Duration) {
        let timeout = format!("--timeout={}", limit.as_secs().max(1));
        let settle = Invocation::new("udevadm", limit + Duration::from_secs(2)).args(["settle", &timeout]);
        if let Err(error) = self.programs.run(&settle) {
            tracing::debug!(%error, "udev did not settle");
        }
    }
}

/// What [`Lvm::remove_snapshot`] runs. LVM itself looks at the UUID, under its lock: a volume that got the name meanwhile stays.
#[must_use]
pub fn lvremove_command(name: &LvName, lv_uuid: &str) -> Invocation {
    let select = format!("lv_uuid={lv_uuid}");
    Invocation::new("lvremove", DEADLINE).args(["--yes", "--select", &select, &name.to_string()])
}

/// LVM has one exit code for everything. These are its words for a device that is open, and seed 001's for a removal that stopped
/// half way because of one.
fn says_busy(error: &ProgramError) -> bool {
    let ProgramError::Failed { said, .. } = error else { return false };
    ["in use", "used by another device", "Unable to deactivate open", "Failed to resume"]
        .iter()
        .any(|words| said.contains(words))
}
