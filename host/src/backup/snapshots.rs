//! The snapshots of one run: COW volumes made beforehand, attached in the window, removed whatever happens.

use std::time::{Duration, Instant};

use crate::blocking::blocking;
use serde_json::{Value, json};

use crate::backup::plan::Plan;
use crate::backup::survey::Survey;
use crate::cow::attached::Attached;
use crate::failure::{Cause, Failure};
use crate::run::log::RunLog;
use crate::step::Step;
use crate::stop::Stop;
use image::device::Device;
use lvm::{CowVolume, LvName, Lvm, RunVolumes};

/// How long one attach may take; the guest stands still meanwhile.
const ATTACH_DEADLINE: Duration = Duration::from_secs(30);

/// The COW volumes of all disks of a run, and the snapshots that they become. Dropping it removes them.
#[derive(Debug)]
pub struct Snapshots {
    volumes: RunVolumes,
    cows: Vec<CowVolume>,
    attached: Vec<Attached>,
}

/// An attached snapshot, open for reading.
#[derive(Debug)]
pub struct Source<'s> {
    /// The snapshot.
    pub snapshot: &'s Attached,
    /// Its bytes.
    pub device: Device,
}

impl Snapshots {
    /// Makes and wipes a COW volume for each disk, which takes seconds: before anything is locked.
    ///
    /// # Errors
    /// Where one cannot be made. Those that were are removed, or the failure says which were not.
    pub async fn prepare(lvm: &Lvm, survey: &Survey, plan: &Plan, log: &RunLog, stop: &Stop) -> Result<Self, Failure> {
        let mut snapshots = Self { volumes: lvm.run_volumes(log.run()), cows: Vec::new(), attached: Vec::new() };
        let takes = json!({ "origins": plan.disks.iter().map(|disk| &*disk.origin).collect::<Vec<_>>() });
        let making = async {
            for (disk, plan) in survey.disks.iter().zip(&plan.disks) {
                stop.check()?;
                let cow = blocking(|| snapshots.volumes.create_cow(&disk.origin, plan.cow))?;
                snapshots.cows.push(cow);
            }
            Ok::<_, Cause>(snapshots.cows.iter().map(describe).collect::<Vec<_>>())
        };
        match log.take(Step::CowVolumes, takes, making, |made| json!(made)).await {
            Ok(_) => Ok(snapshots),
            Err(failure) => Err(match snapshots.remove(log).await {
                Ok(_) => failure,
                Err(left) => failure.and(left),
            }),
        }
    }

    /// Attaches every COW volume to its origin: the snapshot instant. The origins' writes are stopped only by the freeze
    /// around it, so that several disks show one moment.
    ///
    /// # Errors
    /// Where one cannot be attached.
    pub async fn attach(&mut self, log: &RunLog, stop: &Stop) -> Result<(), Failure> {
        let attaching = async {
            for cow in &self.cows {
                stop.check()?;
                let volume = blocking(|| cow.attach(ATTACH_DEADLINE))?;
                self.attached.push(Attached { volume, cow: cow.size(), since: Instant::now() });
            }
            Ok::<_, Cause>(())
        };
        // What it takes, the intent to make the COW volumes has named.
        log.release(Step::Snapshot, attaching, |()| Value::Null).await
    }

    /// Opens every attached snapshot for reading, in the order of the disks. Their device nodes may have to be waited
    /// for: the window did not.
    ///
    /// # Errors
    /// Where a node does not appear, or cannot be opened.
    pub fn open(&self) -> Result<Vec<Source<'_>>, Cause> {
        let open = |snapshot| {
            let path = blocking(|| Attached::wait_for_device(snapshot))?;
            Ok(Source { snapshot, device: Device::open_for_copy(&path)? })
        };
        self.attached.iter().map(open).collect()
    }

    /// Removes every volume of the run, attached or not.
    ///
    /// # Errors
    /// What could not be removed, and who holds it.
    pub async fn remove(mut self, log: &RunLog) -> Result<Vec<LvName>, Failure> {
        let again = |volumes: &mut RunVolumes| {
            volumes.remove().or_else(|error| {
                tracing::warn!("{error}; trying once more");
                volumes.remove()
            })
        };
        let removing = async { blocking(|| again(&mut self.volumes)) };
        let names = |removed: &Vec<LvName>| json!(removed.iter().map(ToString::to_string).collect::<Vec<_>>());
        log.release(Step::Remove, removing, names).await
    }
}

fn describe(cow: &CowVolume) -> Value {
    json!({ "cow": cow.name().to_string(), "origin": cow.origin().to_string(), "size_bytes": cow.size().0 })
}
