//! The one thing that must never be left behind: a suspended origin. Its guest's disk hangs, and with it the guest's thaw.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::dm_tree::{DmTree, FIELDS};
use super::{LvName, Lvm, LvmError};
use crate::programs::{Invocation, ProgramError};

/// One ioctl for each device.
const LOOK: Duration = Duration::from_secs(5);
/// How often it is looked: a look fails where a device of anybody's goes away meanwhile.
const LOOKS: u32 = 3;
/// A refresh reads metadata, reloads tables and resumes.
const RESUME: Duration = Duration::from_secs(15);

impl Lvm {
    /// Resumes what is suspended of a volume, below it, and of its snapshots; whether anything was. For what a run has left that was
    /// killed: after its COW volume is removed too, [`Lvm::refresh`] makes the volume whole.
    ///
    /// # Errors
    /// [`LvmError::Suspended`] where it may still be suspended.
    pub fn resume(&self, origin: &LvName) -> Result<bool, LvmError> {
        self.resume_tree(origin, "it was found so")
    }

    /// Gives a volume the tables that its metadata asks for. An attach that ended half way leaves others, and while its COW volume is
    /// there a refresh resumes those: then the volume works, and cannot be backed up. It takes one after the COW volume is gone.
    pub fn refresh(&self, origin: &LvName) -> Result<(), LvmError> {
        self.run(&Invocation::new("lvchange", RESUME).args(["--refresh", &origin.to_string()])).map(drop)
    }

    /// After an LVM command that failed or was ended (`cause`): as [`Lvm::resume`]. Costs nothing but a look where nothing is suspended.
    pub(super) fn resume_if_suspended(&self, origin: &LvName, cause: &ProgramError) -> Result<bool, LvmError> {
        self.resume_tree(origin, &cause.to_string())
    }

    /// After the `lvconvert` of a COW volume failed or was ended: as [`Lvm::resume`]. Where anything was suspended, the origin is
    /// refreshed again when that volume is removed.
    pub(super) fn resume_after_attach(
        &self,
        cow: &LvName,
        origin: &LvName,
        cause: &ProgramError,
    ) -> Result<(), LvmError> {
        let resumed = self.resume_if_suspended(origin, cause);
        if !matches!(resumed, Ok(false)) {
            self.half_attached().insert(cow.clone(), origin.clone());
        }
        resumed.map(drop)
    }

    /// After a volume was removed. That its origin's tables are not made anew fails no removal: the next survey of the origin says it
    /// again. That the origin may still be suspended does, because nobody looks at it again once its volume is known to be gone.
    pub(super) fn refresh_after_removal(&self, removed: &LvName) -> Result<(), LvmError> {
        let Some(origin) = self.half_attached().get(removed).cloned() else { return Ok(()) };
        if let Err(error) = self.refresh(&origin) {
            tracing::warn!(%origin, %error, "the origin cannot be backed up again until `lvchange --refresh` succeeds");
            self.resume(&origin)?;
        }
        self.half_attached().remove(removed);
        Ok(())
    }

    fn half_attached(&self) -> MutexGuard<'_, BTreeMap<LvName, LvName>> {
        self.half_attached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resume_tree(&self, origin: &LvName, cause: &str) -> Result<bool, LvmError> {
        let fail = |devices: Vec<String>, resume: LvmError| {
            let (origin, cause) = (origin.clone(), cause.to_owned());
            Err(LvmError::Suspended { origin, devices, cause, resume: Box::new(resume) })
        };
        let suspended = match self.suspended(origin) {
            Ok(suspended) => suspended,
            Err(error) => return fail(Vec::new(), error),
        };
        if suspended.is_empty() {
            return Ok(false);
        }
        tracing::error!(%origin, %cause, ?suspended, "devices were left suspended; resuming them");
        // What the metadata says is what the tables should be, and a refresh makes them so.
        let refreshed = self.refresh(origin);
        let left = self.suspended(origin).unwrap_or(suspended);
        let resumed = left.iter().try_for_each(|device| {
            // What lies on a suspended device cannot be resumed, and the attempt hangs: the first failure is the last.
            self.run(&Invocation::new("dmsetup", RESUME).args(["resume", device])).map(drop)
        });
        if let Err(error) = &resumed {
            tracing::error!(%error, "cannot resume");
        }
        match self.suspended(origin) {
            Ok(left) if left.is_empty() => Ok(true),
            Ok(left) => {
                let why = refreshed.and(resumed).err().unwrap_or_else(|| LvmError::Answer {
                    command: format!("lvchange --refresh {origin}"),
                    why: format!("it succeeded, and {} is still suspended", left.join(", ")),
                });
                fail(left, why)
            }
            Err(error) => fail(left, error),
        }
    }

    /// Which of the origin's devices are suspended, by dm name, each after those that it lies on.
    fn suspended(&self, origin: &LvName) -> Result<Vec<String>, LvmError> {
        let info = Invocation::new("dmsetup", LOOK).args([
            "info",
            "--columns",
            "--noheadings",
            "--separator",
            " ",
            "--options",
            FIELDS,
        ]);
        let mut look = 1;
        let listed = loop {
            match self.programs.run(&info) {
                Ok(output) => break output,
                Err(ProgramError::Failed { .. }) if look < LOOKS => look += 1,
                Err(error) => return Err(error.into()),
            }
        };
        let tree = DmTree::read(&String::from_utf8_lossy(&listed.stdout));
        let tree = tree.map_err(|why| LvmError::Answer { command: info.to_string(), why })?;
        Ok(tree.suspended_of(origin))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::programs::{Reply, ScriptedPrograms};

    const INFO: &str = "dmsetup info --columns --noheadings --separator ' ' --options name,suspended,devno,devnos_used";
    const REFRESH: &str = "lvchange --refresh vg/db";
    /// A thin volume and its pool.
    const ALL: [&str; 4] = ["vg-pool_tdata", "vg-pool-tpool", "vg-db-real", "vg-db"];

    fn origin() -> LvName {
        LvName::new("vg", "db").unwrap()
    }

    /// A list in which these of [`ALL`] are suspended.
    fn listed(suspended: &[&str]) -> Reply {
        let below = ["8:16", "254:0", "254:1", "254:2"];
        let line = |((minor, name), below): ((usize, &&str), &str)| {
            let is = if suspended.contains(name) { "Suspended" } else { "Active" };
            format!("{name} {is} 254:{minor} {below}\n")
        };
        Reply::Prints(ALL.iter().enumerate().zip(below).map(line).collect())
    }

    fn done() -> Reply {
        Reply::Prints(String::new())
    }

    fn locked() -> Reply {
        Reply::Fails(5, "Can't get lock for vg.".to_owned())
    }

    fn resume(script: ScriptedPrograms) -> Result<bool, LvmError> {
        Lvm::new(Arc::new(script)).resume(&origin())
    }

    fn script(lines: impl IntoIterator<Item = (String, Reply)>) -> ScriptedPrograms {
        let empty = ScriptedPrograms::new(drop);
        lines.into_iter().fold(empty, |script, (command, reply)| script.expect(&command, reply))
    }

    #[test]
    fn where_nothing_is_suspended_a_look_is_all() {
        assert!(!resume(ScriptedPrograms::new(drop).expect(INFO, listed(&[]))).unwrap());
    }

    #[test]
    fn a_refresh_that_resumes_everything_is_enough() {
        let script = ScriptedPrograms::new(drop)
            .expect(INFO, listed(&ALL))
            .expect(REFRESH, done())
            .expect(INFO, listed(&[]))
            .expect(INFO, listed(&[]));
        assert!(resume(script).unwrap());
    }

    #[test]
    fn without_a_refresh_the_devices_are_resumed_one_by_one_and_the_lowest_first() {
        let before = [(INFO, listed(&ALL)), (REFRESH, locked()), (INFO, listed(&ALL))];
        let before = before.map(|(command, reply)| (command.to_owned(), reply));
        let each = ALL.map(|device| (format!("dmsetup resume {device}"), done()));
        let after = [(INFO.to_owned(), listed(&[]))];
        assert!(resume(script(before.into_iter().chain(each).chain(after))).unwrap());
    }

    #[test]
    fn above_a_device_that_cannot_be_resumed_nothing_is_tried_and_all_that_is_left_is_named_in_order() {
        let script = ScriptedPrograms::new(drop)
            .expect(INFO, listed(&ALL))
            .expect(REFRESH, locked())
            .expect(INFO, listed(&ALL))
            .expect("dmsetup resume vg-pool_tdata", done())
            .expect("dmsetup resume vg-pool-tpool", Reply::TimesOut)
            .expect(INFO, listed(&ALL[1..]));
        let error = resume(script).unwrap_err();
        assert!(matches!(&error, LvmError::Suspended { devices, .. } if *devices == ALL[1..]), "{error}");
        let words = error.to_string();
        assert!(words.contains("Can't get lock for vg."), "the refresh is what should have worked: {words}");
        let by_hand =
            "in this order `dmsetup resume vg-pool-tpool`, `dmsetup resume vg-db-real`, `dmsetup resume vg-db`";
        assert!(words.ends_with(by_hand), "{words}");
    }

    #[test]
    fn a_refresh_that_says_it_succeeded_and_did_not_is_an_error() {
        let script = ScriptedPrograms::new(drop)
            .expect(INFO, listed(&["vg-db"]))
            .expect(REFRESH, done())
            .expect(INFO, listed(&["vg-db"]))
            .expect("dmsetup resume vg-db", done())
            .expect(INFO, listed(&["vg-db"]));
        let words = resume(script).unwrap_err().to_string();
        assert!(words.contains("it succeeded, and vg-db is still suspended"), "{words}");
    }

    #[test]
    fn a_device_that_goes_away_during_a_look_only_costs_another_look() {
        let gone = || Reply::Fails(1, "Cannot get deps for 254:9.".to_owned());
        let script = ScriptedPrograms::new(drop).expect(INFO, gone()).expect(INFO, gone()).expect(INFO, listed(&[]));
        assert!(!resume(script).unwrap());
    }

    #[test]
    fn what_could_not_be_seen_may_be_suspended() {
        let gone = || Reply::Fails(1, "Cannot get deps for 254:9.".to_owned());
        for script in [
            ScriptedPrograms::new(drop).expect(INFO, gone()).expect(INFO, gone()).expect(INFO, gone()),
            ScriptedPrograms::new(drop).expect(INFO, Reply::TimesOut),
            ScriptedPrograms::new(drop).expect(INFO, Reply::Prints("nonsense".to_owned())),
        ] {
            let error = resume(script).unwrap_err();
            assert!(matches!(&error, LvmError::Suspended { devices, .. } if devices.is_empty()), "{error}");
            assert!(error.to_string().contains("`dmsetup info -c` shows as suspended"), "{error}");
        }
    }
}
