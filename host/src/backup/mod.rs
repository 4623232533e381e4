//! The recipe of a backup, in the order in which it happens.

pub mod copy_disks;
pub mod destination;
pub mod evidence;
pub mod grading;
pub mod guest_sync;
pub mod plan;
pub mod proof;
pub mod receipt;
pub mod snapshots;
pub mod survey;
pub mod window;

use self::copy_disks::Transferred;
use self::destination::{Destination, Output};
use self::evidence::DiskEvidence;
use self::grading::grade;
use self::guest_sync::sync_guest;
use self::plan::Plan;
use self::receipt::{DiskReceipt, Receipt};
use self::snapshots::Snapshots;
use self::survey::Survey;
use crate::ask::connect::World;
use crate::ask::job::Job;
use crate::failure::exit::Exit;
use crate::failure::{At, Failure};
use crate::grade::Grade;
use crate::run::log::RunLog;
use crate::step::Step;
use crate::stop::Stop;

/// Backs up the VM of `job`.
///
/// Whatever happens, on return the guest is thawed, its tables are unlocked and no volume of this run is left, or the
/// failure says what is.
///
/// # Errors
/// The step that failed, its cause, and what could not be undone.
pub async fn run(job: &Job, destination: &Destination, world: &World, stop: &Stop) -> Result<Outcome, Failure> {
    let survey = Survey::take(job, world, stop).await?;
    let plan = Plan::make(job, &survey).at(Step::Plan)?;
    let log = RunLog::create(&job.state_dir.value, &job.vm, world.clock).at(Step::Plan)?;
    let mut output = Output::create(destination, &job.disks.value, &log).await?;
    let mut snapshots = Snapshots::prepare(&world.lvm, &survey, &plan, &log, stop).await?;

    let made = async {
        sync_guest(&plan, world, &log, stop).await?;
        let window = window::pass(&plan.window, world, &mut snapshots, &log, stop).await?;
        let sources = snapshots.open().at(Step::Evidence)?;
        let evidence = DiskEvidence::read_all(&sources, &log).await?;
        let copied = copy_disks::copy_all(&sources, &plan, &mut output, &log, stop).await?;
        Ok((window, evidence, copied))
    }
    .await;

    let removed = snapshots.remove(&log).await;
    let (made, left) = match (made, removed) {
        (Ok(made), removed) => (made, removed.err()),
        (Err(failure), Ok(_)) => return Err(failure),
        (Err(failure), Err(left)) => return Err(failure.and(left)),
    };
    let (window, evidence, copied) = made;
    let graded = grade(&evidence, &window.freeze, &window.lock);
    let disks = disk_receipts(&output, evidence, copied);
    let receipt = Receipt::new(&log, &survey, plan, graded, window, disks);
    match output.publish(&receipt, &log).await {
        Ok(()) => Ok(Outcome { receipt, left }),
        Err(failure) => Err(left.into_iter().fold(failure, Failure::and)),
    }
}

fn disk_receipts(output: &Output, evidence: Vec<DiskEvidence>, copied: Vec<Transferred>) -> Vec<DiskReceipt> {
    let disks = output.names().into_iter().zip(evidence).zip(copied);
    disks.map(|((image, evidence), transferred)| DiskReceipt::new(image, evidence, transferred)).collect()
}

/// A backup that was made.
#[derive(Debug)]
pub struct Outcome {
    /// What it is.
    pub receipt: Receipt,
    /// What could not be undone after it.
    pub left: Option<Failure>,
}

impl Outcome {
    /// The exit code that says what happened.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match (&self.left, self.receipt.grade) {
            (Some(_), _) => Exit::NeedsPerson,
            (None, Grade::Damaged) => Exit::Damaged,
            (None, grade) if grade < self.receipt.required => Exit::Weaker,
            (None, _) => Exit::Done,
        }
    }
}
