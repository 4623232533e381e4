//! The snapshots of one run: COW volumes made beforehand, attached in the window, removed whatever happens.

use std::time::{Duration, Instant};

use lvm::{LvName, LvmError, NoOrigin};

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
                let cow = blocking(|| means.lvm.create_cow(&plan.origin, volume, plan.cow))?;
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

    /// Removes every volume of the run, attached or not, by the names that it made.
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

/// Attaches every COW volume to its origin: the snapshot instant. The origins' writes are stopped only by the freeze around it,
/// so that several disks show one moment.
///
/// # Errors
/// Where one cannot be attached.
pub async fn attach(
    disks: Vec<Disk<Prepared>>,
    deadline: Duration,
    run: &Run,
    stop: &Stop,
) -> Result<Vec<Disk<Attached>>, Failure> {
    let attach = |disk: Disk<Prepared>| {
        stop.check()?;
        disk.try_reach(|_, Prepared { cow }| {
            let volume = blocking(|| cow.attach(deadline))?;
            Ok::<_, Cause>(Attached { volume, cow: cow.size(), since: Instant::now() })
        })
    };
    let attaching = async { disks.into_iter().map(attach).collect::<Result<Vec<_>, Cause>>() };
    // What it takes, the intent to make the COW volumes has named.
    run.step(Step::Snapshot, attaching, |disks| Some(Fact::Attached { disks: disks.len() })).await
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
