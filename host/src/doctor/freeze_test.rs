//! A freeze and a thaw of the guest, tried for once: through the guards of a backup's window, with its run log, its guardian and its
//! watchdog, so that whatever dies, the guest is thawed. Nothing is locked, and no snapshot is taken.

use std::time::{Duration, Instant};

use super::finding::{Check, Finding};
use crate::ask::connect::World;
use crate::ask::job::Job;
use crate::backup::guard;
use crate::backup::guest_sync::sync_guest;
use crate::backup::plan::{FreezePlan, freeze_plan, watchdog_plan};
use crate::backup::survey::Survey;
use crate::backup::watchdog::{Watchdog, WatchdogFacts};
use crate::backup::window::{Freeze, FreezeFacts, TablesLocked, ask_again};
use crate::failure::exit::Exit;
use crate::failure::{At, Cause, Failure, both};
use crate::grade::Grade;
use crate::run::Run;
use crate::run::event::Listeners;
use crate::run::held::Means;
use crate::show::amount::took;
use crate::step::Step;
use crate::stop::Stop;

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreezeTest {
    /// From the sending of the freeze to its answer.
    pub froze: Duration,
    /// From the sending of the thaw until the guest was thawed for sure.
    pub thawed: Duration,
    /// What the agent counted.
    pub facts: FreezeFacts,
    /// What the watchdog in the guest did.
    pub watchdog: WatchdogFacts,
}

/// Freezes the guest of `job` and thaws it again.
///
/// On return the guest is thawed, or the failure says that it may not be.
///
/// # Errors
/// The step that failed, its cause, and what could not be undone.
pub async fn run(
    job: &Job,
    survey: &Survey,
    world: &World,
    listeners: Listeners,
    stop: &Stop,
) -> Result<FreezeTest, Failure> {
    let refused =
        || Cause::usage("there is no freeze to test: none is asked for", "leave --no-freeze out, and name an --agent");
    let freeze = freeze_plan(job).ok_or_else(refused).at(Step::Plan)?;
    let run = Run::begin(&job.state_dir.value, &job.vm, world.clock, listeners).at(Step::Plan)?;
    guard(&run, world);
    let tested = pass(job, survey, &freeze, world, &run, stop).await;
    run.close(tested.as_ref().map_or_else(Failure::exit, |_| Exit::Done));
    tested
}

async fn pass(
    job: &Job,
    survey: &Survey,
    freeze: &FreezePlan,
    world: &World,
    run: &Run,
    stop: &Stop,
) -> Result<FreezeTest, Failure> {
    let means = Means {
        lvm: world.lvm.clone(),
        agent: world.agent.clone(),
        origins: survey.disks.iter().map(|disk| disk.origin.name.clone()).collect(),
        thaw_deadline: job.policy.thaw.value,
        unmark_deadline: job.policy.marker.value,
    };
    // As before a window: what is dirty would be written out in the freeze.
    sync_guest(survey.guest_can_exec().then_some(job.policy.guest_sync.value), world, run, stop).await?;
    let watchdog = watchdog_plan(job, survey).at(Step::Arm)?;
    let watchdog = Watchdog::arm(watchdog.as_ref(), &means, run, stop).await?;
    let tested = stand_still(freeze, &means, run, stop).await;
    let watchdog = watchdog.disarm(run).await;
    world.release_agent().await;
    tested.map(|tested| FreezeTest { watchdog, ..tested })
}

async fn stand_still(freeze: &FreezePlan, means: &Means, run: &Run, stop: &Stop) -> Result<FreezeTest, Failure> {
    run.intend(Step::Freeze, vec![freeze.holds()])?;
    let not_frozen = |failure: &Failure| run.failed(Step::Freeze, vec![freeze.holds()], failure);
    let _held_back = run.hold_back();
    let mut tables = TablesLocked::take(None, None, run, stop).await.inspect_err(not_frozen)?;
    let stood_still = async {
        stop.check().at(Step::Freeze).inspect_err(not_frozen)?;
        let began = Instant::now();
        let frozen = tables.freeze(Some(Freeze { plan: freeze, means }), run).await?;
        let froze = began.elapsed();
        Ok((froze, frozen.thaw(run).await?))
    }
    .await;
    let unlocked = tables.unlock(run).await;
    let ((froze, thawed), ()) = both(stood_still, unlocked.map(drop))?;
    let thawed = ask_again(thawed, Freeze { plan: freeze, means }, run).await?;
    let thawed_in = thawed.window.map_or(Duration::ZERO, |window| window.saturating_sub(froze));
    Ok(FreezeTest { froze, thawed: thawed_in, facts: thawed.facts, watchdog: WatchdogFacts::None })
}

/// What it means for a backup.
pub fn findings(job: &Job, tested: &Result<FreezeTest, Failure>) -> Vec<Finding> {
    match tested {
        Err(failure) => {
            let mut found = vec![Finding::failed(Check::FreezeTest, &failure.cause)];
            found.extend(failure.clean_up.iter().map(|(_, cause)| Finding::failed(Check::FreezeTest, cause)));
            found
        }
        Ok(tested) => vec![of(tested, job.policy.window.value)],
    }
}

fn of(tested: &FreezeTest, window: Duration) -> Finding {
    let (froze, thawed) = (took(tested.froze), took(tested.thawed));
    let (frozen, still_frozen) = match tested.facts {
        FreezeFacts::Counted { frozen, thawed } => (frozen, thawed),
        FreezeFacts::NoAgent | FreezeFacts::NotAsked => (0, None),
    };
    let what = format!("the guest froze {frozen} filesystems in {froze}, and thawed in {thawed}");
    let weak = |why: &str| Finding::at_best(Check::FreezeTest, Grade::Crash, &*what).because(why);
    match still_frozen {
        _ if frozen == 0 => weak("a freeze of none is none, and the agent calls it a success")
            .remedy("see qemu-ga's log in the guest: `journalctl -u qemu-guest-agent`"),
        None => weak("how many were still frozen at the thaw is not known: its reply was lost"),
        Some(thawed) if thawed < frozen => {
            weak("fewer were still frozen at the thaw: something else in the guest thaws")
                .remedy("look for another backup, or a hook of the agent's")
        }
        Some(_) if matches!(tested.watchdog, WatchdogFacts::Broke(_)) => {
            weak("the watchdog in the guest thawed in between, or is gone")
        }
        Some(_) if tested.froze > window / 2 => Finding::note(Check::FreezeTest, &*what)
            .because(format!(
                "the window may take {} with the snapshots in it; then the guest is thawed, whatever there is",
                took(window)
            ))
            .remedy("back up when the guest writes less, or allow more with --window-deadline and --freeze-deadline"),
        Some(_) => Finding::fine(Check::FreezeTest, what),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Weight;
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn tested(frozen: u32, thawed: Option<u32>, froze_ms: u64) -> Finding {
        let facts = FreezeFacts::Counted { frozen, thawed };
        let (froze, thawed) = (Duration::from_millis(froze_ms), Duration::from_millis(40));
        of(&FreezeTest { froze, thawed, facts, watchdog: WatchdogFacts::InTime }, WINDOW)
    }

    #[test]
    fn a_freeze_that_held_until_the_thaw_is_fine_and_told_with_its_times() {
        let found = tested(2, Some(2), 310);
        assert_eq!(found.weight, Weight::Fine);
        assert_eq!(found.what, "the guest froze 2 filesystems in 0.31 s, and thawed in 40 ms");
    }

    #[test]
    fn a_freeze_of_nothing_or_one_that_did_not_hold_makes_a_backup_of_grade_crash() {
        for found in [tested(0, Some(0), 1), tested(2, Some(1), 1), tested(2, None, 1)] {
            assert_eq!(found.weight, Weight::AtBest(Grade::Crash), "{found:?}");
        }
    }

    #[test]
    fn a_freeze_that_leaves_little_of_the_window_is_a_note() {
        assert_eq!((tested(2, Some(2), 5001).weight, tested(2, Some(2), 4999).weight), (Weight::Note, Weight::Fine));
    }
}
