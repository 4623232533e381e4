//! The snapshots of one run: COW volumes made beforehand, attached in the window, removed whatever happens.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::blocking::blocking;
use serde_json::{Value, json};

use crate::cow_full::CowFull;
use crate::device::Device;
use crate::failure::{Cause, Failure};
use crate::lvm::{Bytes, CowVolume, LvName, Lvm, LvmError, RunVolumes, SnapshotState, SnapshotVolume};
use crate::plan::Plan;
use crate::run_log::RunLog;
use crate::step::Step;
use crate::stop::Stop;
use crate::survey::Survey;

/// How long one attach may take; the guest stands still meanwhile.
const ATTACH_DEADLINE: Duration = Duration::from_secs(30);
/// udev's time to make a device node, after the window.
const NODE_DEADLINE: Duration = Duration::from_secs(30);

/// The COW volumes of all disks of a run, and the snapshots that they become. Dropping it removes them.
#[derive(Debug)]
pub struct Snapshots {
    volumes: RunVolumes,
    cows: Vec<CowVolume>,
    attached: Vec<Attached>,
}

/// One disk's snapshot.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The snapshot.
    pub volume: SnapshotVolume,
    /// Size of its COW.
    pub cow: Bytes,
    /// When it was there: the COW fills from here on.
    pub since: Instant,
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

impl Attached {
    /// The diagnosis where the kernel has dropped it. Reads of it then fail, and know no better than "I/O error".
    #[must_use]
    pub fn full(&self) -> Option<CowFull> {
        match self.volume.state() {
            Ok(SnapshotState::Invalid | SnapshotState::Overflow) => {
                Some(CowFull::new(self.volume.origin().to_string(), self.cow, None, self.since.elapsed()))
            }
            _ => None,
        }
    }

    fn wait_for_device(&self) -> Result<PathBuf, LvmError> {
        self.volume.wait_for_device(NODE_DEADLINE)
    }
}

fn describe(cow: &CowVolume) -> Value {
    json!({ "cow": cow.name().to_string(), "origin": cow.origin().to_string(), "size_bytes": cow.size().0 })
}
