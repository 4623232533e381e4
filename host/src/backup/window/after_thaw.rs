//! After the thaw, and the unlock: the agent is asked once more, and the disks have the last word.

use std::time::{Duration, Instant};

use guest_bridge::agent::{self, Heard, Next, Question};

use super::FreezeFacts;
use super::frozen::{Freeze, Thawed, count, free_where_gone, thaw_until_sure};
use crate::backup::markers::Told;
use crate::backup::origins::{Origins, Watch};
use crate::backup::plan::FreezePlan;
use crate::backup::thaw_proof::{Seen, look_frozen, still_frozen, writes_everywhere};
use crate::clock::millis;
use crate::failure::{At, Failure};
use crate::run::Run;
use crate::run::entry::Fact;
use crate::run::held::Means;
use crate::step::Step;

/// What the disks showed after the thaw.
#[derive(Debug, Default)]
pub(super) struct AfterThaw {
    /// Each filesystem.
    pub(super) seen: Vec<Seen>,
    /// Freeze to thaw, where only a second thaw was one.
    pub(super) window: Option<Duration>,
}

impl AfterThaw {
    /// Of a window that has failed: nobody will ask whether the guest writes.
    pub(super) fn refuse_frozen(self) -> Result<Self, Failure> {
        match still_frozen(&self.seen) {
            Some(cause) => Err(Failure::new(Step::Thaw, cause)),
            None => Ok(self),
        }
    }
}

/// Asks the agent once more, now that nobody waits for it, where a first answer was believed: it may have been another command's. One that
/// does not say `thawed` is thawed again until it does, and what is known of the window is by that thaw.
///
/// # Errors
/// That the guest may be frozen.
pub async fn ask_again(mut thawed: Thawed, Freeze { plan, means }: Freeze<'_>, run: &Run) -> Result<Thawed, Failure> {
    if !std::mem::take(&mut thawed.is_believed) {
        return Ok(thawed);
    }
    let mut agent = means.agent().at(Step::Thaw)?;
    let answer = agent::freeze_status(&mut agent, plan.first_thaw_deadline).await;
    if Question::StatusAgain.next(Heard::of_status(&answer)) == Next::Sure {
        return Ok(thawed);
    }
    let says = answer.map_or_else(|error| error.to_string(), |_| "guest-fsfreeze-status says frozen".to_owned());
    run.note(format!("the agent has answered the thaw, and then: {says}. The guest is thawed again"));
    let again = thaw_again(plan, means, run).await?;
    thawed.window = thawed.frozen_at.map(|at| at.elapsed());
    if let FreezeFacts::Counted { thawed, .. } = &mut thawed.facts {
        *thawed = again.count.map(count);
    }
    is_thawed(plan, &again, thawed.window, run);
    Ok(thawed)
}

/// Waits for what `watch` sees. Where a filesystem still looks frozen although the agent says otherwise, thaws again, and looks again;
/// one that looks frozen then is still held.
///
/// # Errors
/// Where the second thaw fails by the agent's own word.
pub(super) async fn after_thaw(
    origins: &Origins,
    watch: Watch,
    Freeze { plan, means }: Freeze<'_>,
    frozen_at: Option<Instant>,
    run: &Run,
) -> Result<AfterThaw, Failure> {
    let mut after = AfterThaw { seen: watch.end(), window: None };
    let frozen: Vec<_> = look_frozen(&after.seen).cloned().collect();
    if !frozen.is_empty() {
        run.note("the agent says that the guest is thawed, and its disk says that it is not: it is thawed again");
        let thawed = thaw_again(plan, means, run).await?;
        let window = frozen_at.map(|at| at.elapsed());
        let again = origins.watch(move |on| frozen.contains(on)).end();
        after.seen.retain(|one| again.iter().all(|newer| newer.on != one.on));
        after.seen.extend(again);
        match still_frozen(&after.seen) {
            Some(cause) => run.failed(Step::Thaw, Vec::new(), &Failure::new(Step::Thaw, cause)),
            None => {
                is_thawed(plan, &thawed, window, run);
                after.window = window;
            }
        }
    }
    after.seen.extend_from_slice(origins.untold());
    Ok(after)
}

async fn thaw_again(plan: &FreezePlan, means: &Means, run: &Run) -> Result<agent::Thawed, Failure> {
    let held = plan.holds();
    // A release is never kept from being tried.
    if let Err(failure) = run.intend(Step::Thaw, vec![held.clone()]) {
        tracing::warn!(%failure, "that the guest may be frozen is not in the run's log");
    }
    let thawed = thaw_until_sure(&held, means).await.at(Step::Thaw);
    thawed.inspect_err(|failure| {
        run.failed(Step::Thaw, Vec::new(), failure);
        free_where_gone(failure, held, run);
    })
}

fn is_thawed(plan: &FreezePlan, thawed: &agent::Thawed, window: Option<Duration>, run: &Run) {
    let window_ms = window.map_or(0, millis);
    let (filesystems, attempts) = (thawed.count, thawed.attempts.saturating_add(1));
    run.done(Step::Thaw, vec![plan.holds()], Some(Fact::Thawed { filesystems, attempts, window_ms }));
}

/// What comes of disks that contradict the agent, once the guest's markers were to be removed.
///
/// # Errors
/// That the guest may be frozen: a person is needed now. Not where the guest has written to every filesystem since.
pub fn refuse_frozen(
    seen: &[Seen],
    told: Option<&Told>,
    freeze: Option<&FreezePlan>,
    run: &Run,
) -> Result<(), Failure> {
    let Some(cause) = still_frozen(seen) else { return Ok(()) };
    if !told.is_some_and(writes_everywhere) {
        return Err(Failure::new(Step::Thaw, cause));
    }
    run.note("the guest writes to all its filesystems, whatever its disk shows: it is thawed");
    run.done(Step::Thaw, freeze.map(FreezePlan::holds).into_iter().collect(), None);
    Ok(())
}
