//! Snapshots that are a moment away.
//!
//! `lvconvert` looks at devices and then waits for the lock of the group, which any other LVM command may hold: in the window a guest
//! would stand frozen for it. So the locks are taken first, each `lvconvert` is started and comes to its lock, and what is left to do
//! in the window is to let go.
//!
//! Several `lvconvert`s of one group come to the same lock, and have it one after the other, in any order. What each has seen by
//! then is old, and LVM knows that: with the lock it reads the metadata's headers again, and all of it where they have changed
//! (`_vg_read` in `lib/metadata/metadata.c` of LVM 2.03.16).

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use super::convert::{Convert, may_have_acted};
use super::group_lock::{GroupLock, NoLock};
use super::{CowVolume, LvName, Lvm, LvmError, SnapshotVolume};

/// Between two looks at whether each `lvconvert` has come to its lock.
const POLL: Duration = Duration::from_millis(3);

/// Snapshots that are a moment away. Dropped, they are given up: each `lvconvert` is ended, then the locks are let go. Nothing has been
/// attached then.
///
/// Meanwhile every other LVM command on these groups waits: it is not for long. If this process is killed, the locks are free, and
/// the snapshots are taken at that moment.
#[must_use = "dropping it gives the snapshots up"]
pub struct Ready {
    converts: Vec<Convert>,
    locks: BTreeMap<String, GroupLock>,
    why_not: Option<String>,
}

impl Lvm {
    /// Before the window: takes the lock of each group of `cows`, starts every `lvconvert`, and returns once each of them waits at the
    /// lock. Where LVM on this host has no locks of that kind, nothing is held or started, and [`Ready::attach`] does all of it.
    ///
    /// # Errors
    /// [`LvmError::GroupLocked`] and [`LvmError::NotReady`] where `deadline` is over, [`LvmError::LockReplaced`], and what an
    /// `lvconvert` says that fails before it comes to the lock. Nothing is held then, and nothing attached, unless the error is
    /// [`LvmError::TooEarly`] or [`LvmError::NotAttached`].
    pub fn make_ready(&self, cows: Vec<CowVolume>, deadline: Duration) -> Result<Ready, LvmError> {
        let start = Instant::now();
        let converts = cows.into_iter().map(Convert::new).collect();
        let mut ready = Ready { converts, locks: BTreeMap::new(), why_not: None };
        let folder = match self.lock_folder(deadline) {
            Ok(folder) => folder,
            Err(why) => return Ok(ready.without_locks(why)),
        };
        // In the order of their names, so that two runs with the same groups never wait for each other.
        let groups: BTreeSet<String> =
            ready.converts.iter().map(|convert| convert.cow.name().vg().to_owned()).collect();
        for vg in groups {
            match GroupLock::take(&folder, &vg, deadline.saturating_sub(start.elapsed())) {
                Ok(lock) => drop(ready.locks.insert(vg, lock)),
                Err(NoLock::Taken { by }) => {
                    return Err(LvmError::GroupLocked { vg, waited: start.elapsed(), holders: by });
                }
                Err(NoLock::Broken { path, cause }) => {
                    return Ok(ready.without_locks(format!("cannot lock {}: {cause}", path.display())));
                }
            }
        }
        for convert in &mut ready.converts {
            convert.start(&*self.programs, deadline)?;
        }
        while let Some(snapshot) = ready.coming()? {
            if start.elapsed() >= deadline {
                return Err(LvmError::NotReady { snapshot, waited: start.elapsed() });
            }
            thread::sleep(POLL);
        }
        Ok(ready)
    }
}

impl Ready {
    /// Whether the snapshots are a moment away. If not, all is still to be done, and [`Ready::why_not`] says why.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.why_not.is_none()
    }

    /// Why nothing could be made ready on this host.
    #[must_use]
    pub fn why_not(&self) -> Option<&str> {
        self.why_not.as_deref()
    }

    /// The snapshot instant: lets go of the locks, and waits until every snapshot is taken, for `deadline` in all. In the order in
    /// which the COW volumes came.
    ///
    /// # Errors
    /// Where one cannot be taken. The others are not waited for any more; [`LvmError::NotAttached`] names those that may exist all
    /// the same. No origin is left suspended, or the error says so: [`LvmError::Suspended`].
    pub fn attach(mut self, deadline: Duration) -> Result<Vec<SnapshotVolume>, LvmError> {
        let start = Instant::now();
        let left = || deadline.saturating_sub(start.elapsed());
        if !self.is_ready() {
            return self.attach_in_turn(left);
        }
        // Each was seen waiting at a lock that has been held since: one that has not ended still waits there.
        self.look_at_all()?;
        for lock in self.locks.values_mut() {
            lock.let_go();
        }
        for convert in &mut self.converts {
            if !matches!(convert.has_ended(left()), Ok(true)) {
                break;
            }
            convert.end();
            if convert.failure().is_some() {
                break;
            }
        }
        match self.conclude() {
            None => Ok(self.converts.iter().map(|convert| convert.cow.attached()).collect()),
            Some(error) => Err(error),
        }
    }

    /// Goes on without what is held so far: this host has no locks that could be held.
    fn without_locks(mut self, why: String) -> Self {
        tracing::warn!(why, "the snapshots cannot be made ready before the window; they will take longer in it");
        self.locks.clear();
        self.why_not = Some(why);
        self
    }

    /// The first snapshot whose `lvconvert` does not wait at its lock yet.
    fn coming(&mut self) -> Result<Option<LvName>, LvmError> {
        self.look_at_all()?;
        if let Some((vg, _)) = self.locks.iter().find(|(_, lock)| !lock.is_in_place()) {
            return Err(LvmError::LockReplaced { vg: vg.clone() });
        }
        let waits = |convert: &Convert| {
            let lock = self.locks.get(convert.cow.name().vg());
            // What is no process, because it is simulated, needs no time to come there.
            convert.pid().is_none_or(|pid| lock.is_some_and(|lock| lock.holds_up(pid)))
        };
        Ok(self.converts.iter().find(|convert| !waits(convert)).map(|convert| convert.cow.name().clone()))
    }

    /// An error where an `lvconvert` has ended: none should before the locks are let go.
    fn look_at_all(&mut self) -> Result<(), LvmError> {
        for convert in &mut self.converts {
            if !convert.has_ended(Duration::ZERO)? {
                continue;
            }
            convert.end();
            if convert.failure().is_none() {
                return Err(LvmError::TooEarly { snapshot: convert.cow.name().clone() });
            }
            return self.conclude().map_or(Ok(()), Err);
        }
        Ok(())
    }

    /// Ends what still runs, lets go of everything, and leaves no origin of the batch suspended. What went wrong, if anything did,
    /// with the snapshots that may exist all the same.
    fn conclude(&mut self) -> Option<LvmError> {
        // All at once: else the next would have the lock as soon as the one before has ended.
        self.converts.iter_mut().for_each(Convert::ask_to_end);
        self.converts.iter_mut().for_each(Convert::end);
        // To resume a volume, LVM needs the lock.
        self.locks.clear();
        // Those that only waited say nothing new.
        let failed = |convert: &Convert| convert.failure().is_some();
        let telling = self.converts.iter().position(|convert| failed(convert) && convert.may_have_acted());
        let telling = telling.or_else(|| self.converts.iter().position(failed))?;
        let acted = self.converts.iter().filter(|convert| convert.may_have_acted());
        let may_exist: Vec<LvName> = acted.map(|convert| convert.cow.name().clone()).collect();
        let suspended = if may_exist.is_empty() { None } else { self.resume_all(telling) };
        let cause = suspended.or_else(|| Some(self.converts.get_mut(telling)?.take_failure()?.into()))?;
        Some(not_attached(may_exist, cause))
    }

    /// Resumes every origin of the batch that is suspended; the first that may still be.
    fn resume_all(&self, telling: usize) -> Option<LvmError> {
        let cause = self.converts.get(telling)?.failure()?;
        let mut first = None;
        for convert in &self.converts {
            if let Err(error) = convert.cow.resume_origin(cause) {
                tracing::error!(%error, "an origin may be suspended");
                first.get_or_insert(error);
            }
        }
        first
    }

    /// Takes one snapshot after the other, each from its beginning.
    fn attach_in_turn(&self, left: impl Fn() -> Duration) -> Result<Vec<SnapshotVolume>, LvmError> {
        let mut taken: Vec<SnapshotVolume> = Vec::new();
        for Convert { cow, .. } in &self.converts {
            let left = left();
            let (cause, this) = if left.is_zero() {
                (LvmError::NoTimeLeft { snapshot: cow.name().clone() }, None)
            } else {
                match cow.attach(left) {
                    Ok(snapshot) => {
                        taken.push(snapshot);
                        continue;
                    }
                    Err(cause) => {
                        let acted = !matches!(&cause, LvmError::Program(error) if !may_have_acted(error));
                        (cause, acted.then(|| cow.name().clone()))
                    }
                }
            };
            let earlier = taken.iter().map(|snapshot| snapshot.name().clone());
            return Err(not_attached(earlier.chain(this).collect(), cause));
        }
        Ok(taken)
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if self.converts.iter().any(Convert::runs)
            && let Some(why) = self.conclude()
        {
            tracing::debug!(%why, "snapshots that were ready are given up");
        }
    }
}

fn not_attached(may_exist: Vec<LvName>, cause: LvmError) -> LvmError {
    if may_exist.is_empty() { cause } else { LvmError::NotAttached { may_exist, cause: Box::new(cause) } }
}
