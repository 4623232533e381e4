//! After the thaw: the disks have the last word.

use std::time::{Duration, Instant};

use super::frozen::{Freeze, thaw_until_sure};
use crate::backup::markers::Told;
use crate::backup::origins::{Origins, Watch};
use crate::backup::plan::FreezePlan;
use crate::backup::thaw_proof::{Seen, look_frozen, still_frozen, writes_everywhere};
use crate::clock::millis;
use crate::failure::{At, Failure};
use crate::run::Run;
use crate::run::entry::Fact;
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
        let held = plan.holds();
        // A release is never kept from being tried.
        if let Err(failure) = run.intend(Step::Thaw, vec![held.clone()]) {
            tracing::warn!(%failure, "that the guest may be frozen is not in the run's log");
        }
        let thawed = thaw_until_sure(&held, means).await.at(Step::Thaw);
        let thawed = thawed.inspect_err(|failure| run.failed(Step::Thaw, Vec::new(), failure))?;
        let window = frozen_at.map(|at| at.elapsed());
        let again = origins.watch(move |on| frozen.contains(on)).end();
        after.seen.retain(|one| again.iter().all(|newer| newer.on != one.on));
        after.seen.extend(again);
        match still_frozen(&after.seen) {
            Some(cause) => run.failed(Step::Thaw, Vec::new(), &Failure::new(Step::Thaw, cause)),
            None => {
                let window_ms = window.map_or(0, millis);
                let (filesystems, attempts) = (thawed.count, thawed.attempts.saturating_add(1));
                run.done(Step::Thaw, vec![held], Some(Fact::Thawed { filesystems, attempts, window_ms }));
                after.window = window;
            }
        }
    }
    after.seen.extend_from_slice(origins.untold());
    Ok(after)
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
