//! The one thing that must never be left behind: a suspended origin. Its guest's disk hangs, and with it the guest's thaw.

use std::time::Duration;

use super::{LvName, Lvm, LvmError};
use crate::programs::{Invocation, ProgramError};

/// One ioctl for each device.
const LOOK: Duration = Duration::from_secs(5);
/// A refresh reads metadata, reloads tables and resumes.
const RESUME: Duration = Duration::from_secs(15);

impl Lvm {
    /// After an LVM command that failed or was ended (`cause`): resumes the origin, and the internal device below it, if they are
    /// suspended. Costs nothing but a look where they are not.
    pub(super) fn resume_if_suspended(&self, origin: &LvName, cause: &ProgramError) -> Result<(), LvmError> {
        let fail = |resume: LvmError| {
            Err(LvmError::Suspended { origin: origin.clone(), cause: cause.to_string(), resume: Box::new(resume) })
        };
        let suspended = match self.suspended(origin) {
            Ok(suspended) => suspended,
            Err(error) => return fail(error),
        };
        if suspended.is_empty() {
            return Ok(());
        }
        tracing::error!(%origin, %cause, ?suspended, "the origin was left suspended; resuming it");
        // What the metadata says is what the tables should be, and a refresh makes them so.
        let refreshed = self.run(&Invocation::new("lvchange", RESUME).args(["--refresh", &origin.to_string()]));
        for device in self.suspended(origin).unwrap_or(suspended) {
            if let Err(error) = self.run(&Invocation::new("dmsetup", RESUME).args(["resume", &device])) {
                tracing::error!(%device, %error, "cannot resume");
            }
        }
        match self.suspended(origin) {
            Ok(left) if left.is_empty() => Ok(()),
            Ok(left) => fail(refreshed.err().unwrap_or_else(|| LvmError::Answer {
                command: format!("lvchange --refresh {origin}"),
                why: format!("it succeeded, and {} is still suspended", left.join(", ")),
            })),
            Err(error) => fail(error),
        }
    }

    /// Which of the origin's devices are suspended, by dm name, lowest first.
    fn suspended(&self, origin: &LvName) -> Result<Vec<String>, LvmError> {
        let (real, top) = (format!("{}-real", origin.dm_name()), origin.dm_name());
        let info = Invocation::new("dmsetup", LOOK).args([
            "info",
            "--columns",
            "--noheadings",
            "--separator",
            " ",
            "--options",
            "name,suspended",
        ]);
        let output = self.run(&info)?;
        let listed = String::from_utf8_lossy(&output.stdout);
        let is_suspended =
            |name: &String| listed.lines().any(|line| line.trim().split_once(' ') == Some((name, "Suspended")));
        Ok([real, top].into_iter().filter(is_suspended).collect())
    }
}
