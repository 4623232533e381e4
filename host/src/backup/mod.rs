//! The recipe of a backup, in the order in which it happens.

pub mod copy_disks;
mod copy_history;
pub mod cow_plan;
mod cow_sizes;
pub mod database_state;
pub mod destination;
pub mod disk;
mod dump;
pub mod dump_plan;
mod dump_receipt;
pub mod evidence;
pub mod foresight;
pub mod grading;
mod grow;
pub mod guest_disks;
pub mod guest_sync;
mod hurry;
pub mod identify;
pub mod identity;
pub mod lost;
pub mod markers;
pub mod off;
pub mod origins;
mod other_snapshots;
pub mod output;
pub mod placement;
pub mod plan;
pub mod proof;
pub mod receipt;
pub mod snapshots;
pub mod survey;
pub mod thaw_proof;
mod told;
pub mod watchdog;
pub mod window;

use self::database_state::DatabaseState;
use self::destination::Destination;
use self::disk::Disk;
use self::dump::DumpPass;
use self::dump_plan::{DumpPlan, Reason, When};
use self::evidence::Evidence;
use self::grading::{Case, Graded, grade};
use self::guest_sync::sync_guest;
use self::identify::identify;
use self::identity::Identity;
use self::markers::Markers;
use self::off::{Off, grade_off};
use self::origins::Origins;
use self::plan::{CopyPlan, Plan};
use self::snapshots::Snapshots;
use self::survey::Survey;
use self::thaw_proof::Thawed;
use self::watchdog::{Watchdog, WatchdogFacts};
use self::window::WindowReport;
use crate::ask::connect::{Starter, World};
use crate::ask::job::Job;
use crate::blocking::blocking;
use crate::documents::receipt::{DumpReason, Receipt};
use crate::failure::exit::Exit;
use crate::failure::{At, Failure, Kind};
use crate::grade::Grade;
use crate::run::claim::Claim;
use crate::run::event::Listeners;
use crate::run::held::Means;
use crate::run::{Run, guardian};
use crate::step::Step;
use crate::stop::Stop;

/// Backs up the VM of `job`, and tells `listeners` what happens.
///
/// Whatever happens, on return the guest is thawed, its tables are unlocked and no volume of this run is left, or the
/// failure says what is.
///
/// # Errors
/// The step that failed, its cause, and what could not be undone.
pub async fn run(
    job: &Job,
    destination: &Destination,
    world: &World,
    listeners: Listeners,
    stop: &Stop,
) -> Result<Outcome, Failure> {
    let claim =
        Claim::take(&job.state_dir.value, job.is_named.then_some(&*job.vm), &job.disks.value).at(Step::Survey)?;
    let survey = Survey::take(job, world, stop).await?;
    let plan = Plan::make(job, &survey).at(Step::Plan)?;
    let run = Run::begin(&job.state_dir.value, &job.vm, world.clock, listeners).at(Step::Plan)?;
    claim.name(run.id());
    guard(&run, world);
    plan.notes.iter().for_each(|note| run.note(note));
    let means = means(&plan, world);
    let dump =
        |dump, reason| DumpPass { survey: &survey, plan: &plan, dump, reason, world, means: &means, run: &run, stop };
    let outcome = match &plan.dump {
        Some(instead @ DumpPlan { when: When::Instead(reason), .. }) => {
            dump(instead, reason.clone()).make(destination).await
        }
        if_needed => match (pass(&survey, &plan, destination, world, &means, &run, stop).await, if_needed) {
            (Err(failure), Some(instead)) if is_of_the_cow(&failure) && destination.takes_another() => {
                run.note(format!("a dump is made in place of the image: {}", failure.cause));
                let made = dump(instead, Reason::DuringCopy(failure.cause.to_string())).make(destination).await;
                made.map_err(|instead| Failure { cause: Box::new(instead.cause.after(&failure.cause)), ..instead })
            }
            (outcome, _) => outcome,
        },
    };
    let exit = outcome.as_ref().map_or_else(Failure::exit, Outcome::exit);
    run.close(exit);
    outcome
}

/// Without a guardian a backup is as good, and its death not: that is said, and no reason to have none.
pub(crate) fn guard(run: &Run, world: &World) {
    let Some(Starter { programs, program }) = &world.guardian else { return };
    if let Err(cause) = blocking(|| guardian::start(&**programs, program, run.log_path())) {
        run.note(format!(
            "no guardian watches this run: should it be killed, `stillpoint recover` has to be called. {cause}"
        ));
    }
}

/// Whether the snapshot was lost, or given up, for want of room, and all of it was given back.
fn is_of_the_cow(failure: &Failure) -> bool {
    matches!(failure.cause.kind, Kind::CowFull | Kind::SnapshotWouldNotLast) && failure.clean_up.is_empty()
}

fn means(plan: &Plan, world: &World) -> Means {
    Means {
        lvm: world.lvm.clone(),
        agent: world.agent.clone(),
        origins: plan.disks.iter().map(|disk| disk.origin.name.clone()).collect(),
        thaw_deadline: plan.window.thaw_deadline,
        unmark_deadline: plan.markers.as_ref().map_or(plan.window.thaw_deadline, |markers| markers.deadline),
    }
}

async fn pass(
    survey: &Survey,
    plan: &Plan,
    destination: &Destination,
    world: &World,
    means: &Means,
    run: &Run,
    stop: &Stop,
) -> Result<Outcome, Failure> {
    let (publication, disks) = destination::claim(destination, plan.disks.clone(), run).await?;
    let (mut snapshots, disks) = Snapshots::prepare(disks, means, run, stop).await?;

    let made = async {
        sync_guest(plan.guest_sync, world, run, stop).await?;
        let origins = plan.window.freeze.as_ref().map(|_| Origins::open(&survey.disks)).unwrap_or_default();
        let markers = Markers::write(plan, means, run, stop).await?;
        let watchdog = Watchdog::arm(plan.watchdog.as_ref(), means, run, stop).await?;
        let window = window::pass(&plan.window, disks, origins, world, means, run, stop).await;
        let is_left = watchdog.is_armed() && may_be_frozen(&window);
        let watchdog = if is_left { watchdog.leave(run) } else { watchdog.disarm(run).await };
        let report = window.as_ref().ok().map(|(report, _)| report);
        let before = report.and_then(|report| report.coordinates.as_ref());
        let after = report.and_then(|report| report.went_on.as_ref()?.to.as_ref());
        let files = database_state::files(survey.server.as_ref(), before, after);
        let told = markers.remove(&files, &survey.data_directories(), run).await;
        world.release_agent().await;
        let (window, disks) = window?;
        window::refuse_frozen(&window.seen, told.as_ref(), plan.window.freeze.as_ref(), run)?;
        let disks = evidence::read_all(disks, plan.node_deadline, run).await?;
        let identity = identify(survey, plan, told.as_ref(), window.frozen_at, &disks);
        let thaw = thaw_proof::proofs(&window.seen, &identity, told.as_ref());
        let database = database_state::look(survey, &window, told.as_ref(), &identity, &disks);
        let off = plan.is_off.then(|| off::look(plan, world, &disks));
        let copy = plan.copy.clone();
        let copy = CopyPlan { can_give_up: copy.can_give_up && destination.takes_another(), ..copy };
        let disks = copy_disks::copy_all(disks, &copy, &mut snapshots, run, stop).await?;
        Ok((Proof { window, thaw, watchdog, identity, database, off }, disks))
    }
    .await;

    let removed = snapshots.remove(run).await;
    let (proof, disks, left) = match (made, removed) {
        (Ok((proof, disks)), removed) => (proof, disks, removed.err()),
        (Err(failure), Ok(())) => return Err(failure),
        (Err(failure), Err(left)) => return Err(failure.and(left)),
    };
    let evidence: Vec<Evidence<'_>> = disks.iter().map(Disk::evidence).collect();
    let graded = proof.grade(&evidence);
    let receipt = receipt::receipt(run, survey, plan, graded, proof, &disks);
    let images = disks.into_iter().map(|disk| disk.image).collect();
    match publication.publish(images, &receipt, run).await {
        Ok(()) => Ok(Outcome { receipt, left }),
        Err(failure) => Err(left.into_iter().fold(failure, Failure::and)),
    }
}

/// Whether the guest may be frozen still, by its agent or by a disk.
fn may_be_frozen<T>(window: &Result<(WindowReport, T), Failure>) -> bool {
    match window {
        Ok((window, _)) => thaw_proof::look_frozen(&window.seen).next().is_some(),
        Err(failure) => failure.causes().any(|cause| cause.kind == Kind::GuestMayBeFrozen),
    }
}

/// What is known of a backup besides the bytes of each disk.
#[derive(Debug)]
pub struct Proof {
    /// What happened in the window.
    pub window: WindowReport,
    /// What proves that the guest runs again.
    pub thaw: Vec<Thawed>,
    /// What the watchdog in the guest did.
    pub watchdog: WatchdogFacts,
    /// Which volume is which filesystem of the guest.
    pub identity: Identity,
    /// What the database's own log in the image says.
    pub database: DatabaseState,
    /// What there is to know of a VM that was off.
    pub off: Option<Off>,
}

impl Proof {
    fn grade(&self, disks: &[Evidence<'_>]) -> Graded {
        let Self { window, watchdog, identity, database, off, .. } = self;
        match off {
            Some(off) => grade_off(disks, off),
            None => grade(Case { disks, freeze: &window.freeze, watchdog, lock: &window.lock, identity, database }),
        }
    }
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
        let by_dump = self.receipt.dump.as_ref().is_some_and(|dump| dump.when != DumpReason::Asked);
        match (&self.left, self.receipt.grade) {
            (Some(_), _) => Exit::NeedsPerson,
            (None, _) if by_dump => Exit::ByDump,
            (None, Grade::Damaged) => Exit::Damaged,
            (None, grade) if grade < self.receipt.required => Exit::Weaker,
            (None, _) => Exit::Done,
        }
    }
}
