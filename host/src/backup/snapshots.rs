//! The snapshots of one run: COW volumes made beforehand, attached in the window, removed whatever happens.

use std::time::{Duration, Instant};

use lvm::{Bytes, LvName, Lvm, LvmError, NoOrigin, SnapshotVolume};

use super::disk::{Claimed, Disk, Prepared};
use crate::blocking::blocking;
use crate::cow::attached::Attached;
use crate::failure::{At, Cause, Failure};
use crate::run::Run;
use crate::run::entry::{CowVolume, Fact};
use crate::run::held::{Held, Means, release_all, release_in_drop};
use crate::step::Step;
use crate::stop::Stop;

/// Every COW volume of a run, from before the first is made. Dropping it removes them.
#[must_use = "dropping it removes the volumes"]
pub struct Snapshots {
    held: Vec<Held>,
    means: Means,
}

impl Snapshots {
    /// Makes and wipes a COW volume for each disk, which takes seconds: before anything is locked.
    ///
    /// # Errors
    /// Where one cannot be made. Those that were are removed, or the failure says which were not.
    pub async fn prepare(
        disks: Vec<Disk<Claimed>>,
        means: &Means,
        run: &Run,
        stop: &Stop,
    ) -> Result<(Self, Vec<Disk<Prepared>>), Failure> {
        let named = |(number, disk): (usize, Disk<Claimed>)| {
            let origin = disk.origin().clone();
            let volume = run.id().volume(origin.vg(), number);
            let volume =
                volume.map_err(|error| LvmError::NotAnOrigin { name: origin, why: NoOrigin::CowName(error) })?;
            Ok::<_, LvmError>((disk, volume))
        };
        let named = disks.into_iter().enumerate().map(named).collect::<Result<Vec<_>, _>>();
        let named = named.at(Step::CowVolumes)?;
        let held = |(disk, volume): &(Disk<Claimed>, LvName)| Held::Cow {
            volume: volume.clone(),
            origin: disk.origin().clone(),
        };
        let snapshots = Self { held: named.iter().map(held).collect(), means: means.clone() };

        let make = |(disk, volume): (Disk<Claimed>, LvName)| {
            stop.check()?;
            let made = |plan: &super::disk::DiskPlan, Claimed| {
                let cow = blocking(|| means.lvm.create_cow(&plan.origin, volume, plan.cow.size))?;
                Ok::<_, Cause>(Prepared { cow })
            };
            disk.try_reach(made)
        };
        let making = async { named.into_iter().map(make).collect::<Result<Vec<_>, Cause>>() };
        let fact = |disks: &Vec<Disk<Prepared>>| {
            Some(Fact::CowVolumes { volumes: disks.iter().map(|disk| describe(&disk.stage)).collect() })
        };
        match run.take(Step::CowVolumes, snapshots.held.clone(), making, fact).await {
            Ok(disks) => Ok((snapshots, disks)),
            Err(failure) => Err(match snapshots.remove(run).await {
                Ok(()) => failure,
                Err(left) => failure.and(left),
            }),
        }
    }

    /// Where they are.
    pub(super) fn lvm(&self) -> &Lvm {
        &self.means.lvm
    }

    /// Removes one that nobody needs any more. Where that fails it is tried again with all others, at the end.
    pub(super) fn remove_early(&mut self, name: &LvName, run: &Run) {
        let Some(at) = self.held.iter().position(|held| volume(held).as_ref() == Some(name)) else { return };
        match blocking(|| self.means.lvm.remove(name)) {
            Ok(()) => {
                let fact = Fact::Removed { volumes: vec![name.clone()] };
                run.done(Step::Remove, vec![self.held.remove(at)], Some(fact));
            }
            Err(error) => tracing::warn!(%error, "a snapshot that is copied stays until all are"),
        }
    }

    /// Removes every volume of the run that is still there, attached or not, by the names that it made.
    ///
    /// # Errors
    /// What could not be removed, and who holds it.
    pub async fn remove(mut self, run: &Run) -> Result<(), Failure> {
        let held = std::mem::take(&mut self.held);
        match release_all(&held, &self.means).await {
            Ok(()) => {
                let volumes = held.iter().filter_map(volume).collect();
                run.done(Step::Remove, held, Some(Fact::Removed { volumes }));
                Ok(())
            }
            Err(left) => {
                let removed = held.into_iter().filter(|one| left.left.iter().all(|(left, _)| left != one)).collect();
                let failure = Failure::new(Step::Remove, left);
                run.failed(Step::Remove, removed, &failure);
                Err(failure)
            }
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        release_in_drop(&self.held, &self.means);
    }
}

/// The snapshots of all disks, a moment away: the volume groups are ours, and every LVM command waits for us to let go. Dropped,
/// they are given up.
///
/// No other LVM command on these groups may be waited for while it lives.
#[must_use = "dropping it gives the snapshots up"]
pub struct Ready {
    disks: Vec<Disk<Bytes>>,
    ready: lvm::Ready,
}

impl Ready {
    /// Does everything of it that needs no frozen guest. Nobody stands still yet.
    ///
    /// # Errors
    /// Where another command holds a volume group for longer than `deadline`, or LVM refuses.
    pub fn make(disks: Vec<Disk<Prepared>>, means: &Means, deadline: Duration, run: &Run) -> Result<Self, Failure> {
        let (cows, disks) = disks.into_iter().map(cow_apart).unzip();
        let ready = blocking(|| means.lvm.make_ready(cows, deadline)).map_err(Cause::from).at(Step::Snapshot)?;
        if let Some(why) = ready.why_not() {
            run.note(format!("the snapshots cannot be made ready before the window, which will take longer: {why}"));
        }
        Ok(Self { disks, ready })
    }

    /// Attaches every COW volume to its origin: the snapshot instant. The origins' writes are stopped only by the freeze around it,
    /// so that several disks show one moment.
    ///
    /// # Errors
    /// Where they are not there within `deadline`, all together.
    pub async fn attach(self, deadline: Duration, run: &Run, stop: &Stop) -> Result<Vec<Disk<Attached>>, Failure> {
        let Self { disks, ready } = self;
        let attaching = async {
            stop.check()?;
            let volumes = blocking(|| ready.attach(deadline))?;
            let since = Instant::now();
            // In the order in which they were made ready.
            let attached =
                |(disk, volume): (Disk<Bytes>, SnapshotVolume)| disk.reach(|cow| Attached::new(volume, cow, since));
            Ok::<_, Cause>(disks.into_iter().zip(volumes).map(attached).collect::<Vec<_>>())
        };
        // What it takes, the intent to make the COW volumes has named.
        run.step(Step::Snapshot, attaching, |disks| Some(Fact::Attached { disks: disks.len() })).await
    }
}

fn cow_apart(Disk { plan, image, stage: Prepared { cow } }: Disk<Prepared>) -> (lvm::CowVolume, Disk<Bytes>) {
    let size = cow.size();
    (cow, Disk { plan, image, stage: size })
}

fn describe(Prepared { cow }: &Prepared) -> CowVolume {
    CowVolume { cow: cow.name().clone(), origin: cow.origin().clone(), size_bytes: cow.size().0 }
}

fn volume(held: &Held) -> Option<LvName> {
    match held {
        Held::Cow { volume, .. } => Some(volume.clone()),
        _ => None,
    }
}
