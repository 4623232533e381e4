//! The second guard of the window: the guest's filesystems, frozen.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use guest_bridge::agent::{self, AgentError, FreezeScope, Heard, SharedAgent};

use super::FreezeFacts;
use crate::backup::plan::FreezePlan;
use crate::clock::millis;
use crate::failure::{At, Cause, Failure, Kind};
use crate::run::Run;
use crate::run::entry::Fact;
use crate::run::held::{Held, Means, Released, release_in_drop};
use crate::step::Step;

/// A freeze that was decided, and what a thaw reaches through.
#[derive(Clone, Copy)]
pub struct Freeze<'p> {
    /// What was decided.
    pub plan: &'p FreezePlan,
    /// The agent, above all.
    pub means: &'p Means,
}

/// The guest is frozen, or no freeze was asked for.
///
/// It borrows the tables' guard, whatever that is, so that nobody unlocks before the thaw. While it lives the guest's agent accepts six
/// commands, and thaw is the one of them that is needed here.
#[must_use = "dropping it thaws at once"]
pub struct Frozen<'l> {
    armed: Option<Armed>,
    tables: PhantomData<&'l mut ()>,
}

/// What a thaw needs. It exists before the freeze is sent: its reply may be lost, and the guest frozen all the same.
struct Armed {
    held: Held,
    means: Means,
    agent: SharedAgent,
    first_thaw_deadline: Duration,
    since: Instant,
    /// Filesystems, as the agent counts them.
    frozen: u64,
}

/// The guest is thawed.
#[derive(Clone, Debug)]
pub struct Thawed {
    /// When the freeze was sent.
    pub frozen_at: Option<Instant>,
    /// From then to the answer to the thaw.
    pub window: Option<Duration>,
    /// What the agent counted.
    pub facts: FreezeFacts,
    /// The first answer was believed, because somebody waits for the unlock: [`ask_again`](super::ask_again) after it.
    pub is_believed: bool,
}

impl<'l> Frozen<'l> {
    pub(super) fn not_asked(_tables: &'l mut impl Sized) -> Self {
        Self { armed: None, tables: PhantomData }
    }

    pub(super) async fn take(
        _tables: &'l mut impl Sized,
        Freeze { plan, means }: Freeze<'_>,
        run: &Run,
    ) -> Result<Self, Failure> {
        let mut agent = means.agent().at(Step::Freeze)?;
        let armed = Armed {
            held: plan.holds(),
            means: means.clone(),
            agent: agent.clone(),
            first_thaw_deadline: plan.first_thaw_deadline,
            since: Instant::now(),
            frozen: 0,
        };
        let mut guard = Self { armed: Some(armed), tables: PhantomData };

        let mut sent = true;
        let freezing = async {
            let frozen = agent::freeze(&mut agent, &FreezeScope::All, plan.deadline).await;
            sent = frozen.as_ref().err().is_none_or(AgentError::may_have_executed);
            frozen
        };
        let fact = |count: &u64| Some(Fact::Frozen { filesystems: *count });
        match run.step(Step::Freeze, freezing, fact).await {
            Ok(count) => {
                if let Some(armed) = &mut guard.armed {
                    armed.frozen = count;
                }
                Ok(guard)
            }
            Err(failure) if !sent => {
                guard.armed = None;
                run.failed(Step::Freeze, vec![plan.holds()], &failure);
                Err(failure)
            }
            Err(failure) => Err(match guard.thaw(run).await {
                Ok(_) => failure,
                Err(thaw) => failure.and(thaw),
            }),
        }
    }

    /// Thaws, and is sure of it, or believes the first answer where it is the right one.
    ///
    /// # Errors
    /// That the guest may be frozen: a person is needed now.
    pub async fn thaw(mut self, run: &Run) -> Result<Thawed, Failure> {
        let Some(armed) = &mut self.armed else {
            let facts = FreezeFacts::NotAsked;
            return Ok(Thawed { frozen_at: None, window: None, facts, is_believed: false });
        };
        let (held, since) = (armed.held.clone(), armed.since);
        let fact = |thawed: &agent::Thawed| {
            let window_ms = millis(since.elapsed());
            Some(Fact::Thawed { filesystems: thawed.count, attempts: thawed.attempts, window_ms })
        };
        let thawed = run.release(Step::Thaw, vec![held.clone()], armed.thaw(), fact).await;
        let (window, frozen) = (since.elapsed(), count(armed.frozen));
        // Also after a failure: the deadline of all attempts has passed, and whoever reads of it should not wait for more.
        self.armed = None;
        let thawed = thawed.inspect_err(|failure| free_where_gone(failure, held, run))?;
        let facts = FreezeFacts::Counted { frozen, thawed: thawed.count.map(count) };
        Ok(Thawed { frozen_at: Some(since), window: Some(window), facts, is_believed: thawed.attempts == 1 })
    }
}

impl Armed {
    /// Whatever a first thaw answers but that it released what was frozen, the release repeats it until the agent says `thawed`, and
    /// stays so.
    async fn thaw(&mut self) -> Result<agent::Thawed, Cause> {
        let heard = Heard::of_thaw(&agent::thaw(&mut self.agent, self.first_thaw_deadline).await);
        if heard.releases(self.frozen) {
            return Ok(agent::Thawed { count: heard.add_to(Some(0)), attempts: 1, complaint: None });
        }
        let again = thaw_until_sure(&self.held, &self.means).await?;
        if let Some(complaint) = &again.complaint {
            tracing::warn!("the guest is thawed, and its agent complains: {complaint}");
        }
        let count = heard.add_to(again.count);
        Ok(agent::Thawed { count, attempts: again.attempts.saturating_add(1), ..again })
    }
}

/// The release of a freeze: thaws until the agent says `thawed`, and stays so.
pub(super) async fn thaw_until_sure(held: &Held, means: &Means) -> Result<agent::Thawed, Cause> {
    match held.release(means).await? {
        Released::Thawed(thawed) => Ok(thawed),
        Released::VmGone(gone) => Err(gone.into()),
        Released::Gone | Released::ByItself(_) | Released::WaitsForVm(_) => {
            let what = "the release of a freeze did not say that the guest is thawed";
            Err(Cause::plain(Kind::GuestMayBeFrozen, what))
        }
    }
}

/// Of a VM that is gone nothing is frozen here.
pub(super) fn free_where_gone(failure: &Failure, held: Held, run: &Run) {
    if failure.cause.kind == Kind::VmGone {
        run.failed(Step::Thaw, vec![held], failure);
    }
}

pub(super) fn count(filesystems: u64) -> u32 {
    u32::try_from(filesystems).unwrap_or(u32::MAX)
}

impl Drop for Frozen<'_> {
    /// The net below [`Frozen::thaw`], for a panic between freeze and thaw.
    fn drop(&mut self) {
        if let Some(armed) = &self.armed {
            release_in_drop(std::slice::from_ref(&armed.held), &armed.means);
        }
    }
}
