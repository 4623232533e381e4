//! The second guard of the window: the guest's filesystems, frozen.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use guest_bridge::agent::{self, AgentError, FreezeScope, SharedAgent};
use serde_json::json;
use tokio::runtime::Handle;

use super::{FreezeFacts, TablesLocked};
use crate::backup::plan::FreezePlan;
use crate::clock::millis;
use crate::failure::{Cause, Failure};
use crate::run::log::RunLog;
use crate::step::Step;

/// How long the answer to the first thaw is waited for; it takes milliseconds where nothing is wrong.
const FIRST_THAW_DEADLINE: Duration = Duration::from_secs(5);

/// The guest is frozen, or no freeze was asked for.
///
/// It holds the tables' guard, so that nobody unlocks before the thaw. While it lives the guest's agent accepts six
/// commands, and thaw is the one of them that is needed here.
#[must_use = "dropping it thaws at once"]
pub struct Frozen<'l> {
    armed: Option<Armed>,
    frozen: u32,
    tables: PhantomData<&'l mut TablesLocked>,
}

/// What a thaw needs. It exists before the freeze is sent: its reply may be lost, and the guest frozen all the same.
struct Armed {
    agent: SharedAgent,
    since: Instant,
    thaw_deadline: Duration,
}

/// The guest is thawed, for sure.
#[derive(Debug)]
pub struct Thawed {
    /// From the sending of the freeze to the answer to the thaw.
    pub window: Option<Duration>,
    /// What the agent counted.
    pub facts: FreezeFacts,
}

impl<'l> Frozen<'l> {
    pub(super) fn not_asked(_tables: &'l mut TablesLocked) -> Self {
        Self { armed: None, frozen: 0, tables: PhantomData }
    }

    pub(super) async fn take(
        _tables: &'l mut TablesLocked,
        plan: &FreezePlan,
        mut agent: SharedAgent,
        log: &RunLog,
    ) -> Result<Self, Failure> {
        let armed = Armed { agent: agent.clone(), since: Instant::now(), thaw_deadline: plan.thaw_deadline };
        let mut guard = Self { armed: Some(armed), frozen: 0, tables: PhantomData };

        let takes = json!({ "agent": plan.endpoint, "deadline_ms": millis(plan.deadline) });
        let freezing = agent::freeze(&mut agent, &FreezeScope::All, plan.deadline);
        let detail = |count: &u64| json!({ "frozen": count });
        match log.take(Step::Freeze, takes, freezing, detail).await {
            Ok(count) => {
                guard.frozen = u32::try_from(count).unwrap_or(u32::MAX);
                Ok(guard)
            }
            Err(failure) if was_not_sent(&failure) => {
                guard.armed = None;
                Err(failure)
            }
            Err(failure) => Err(match guard.thaw(log).await {
                Ok(_) => failure,
                Err(thaw) => failure.and(thaw),
            }),
        }
    }

    /// Thaws, and is sure of it.
    ///
    /// # Errors
    /// [`AgentError::MaybeFrozen`]: a person is needed now.
    pub async fn thaw(mut self, log: &RunLog) -> Result<Thawed, Failure> {
        let Some(armed) = &mut self.armed else {
            return Ok(Thawed { window: None, facts: FreezeFacts::NotAsked });
        };
        let detail = |thawed: &agent::Thawed| json!({ "thawed": thawed.count, "attempts": thawed.attempts });
        let thawed = log.release(Step::Thaw, armed.thaw(self.frozen), detail).await;
        let window = armed.since.elapsed();
        // Also after a failure: the deadline of all attempts has passed, and whoever reads of it should not wait for more.
        self.armed = None;
        let thawed = thawed?;
        let thawed = thawed.count.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Ok(Thawed { window: Some(window), facts: FreezeFacts::Counted { frozen: self.frozen, thawed } })
    }
}

impl Armed {
    /// A thaw that releases as many filesystems as were frozen needs no second look, and the database's writers are
    /// waiting. Whatever else it answers is repeated until the agent says `thawed`, and stays so.
    async fn thaw(&mut self, frozen: u32) -> Result<agent::Thawed, AgentError> {
        let first = agent::thaw(&mut self.agent, FIRST_THAW_DEADLINE.min(self.thaw_deadline)).await;
        match first {
            Ok(count) if frozen > 0 && count == u64::from(frozen) => {
                Ok(agent::Thawed { count: Some(count), attempts: 1, complaint: None })
            }
            first => {
                let again = agent::thaw_until_sure(&mut self.agent, self.thaw_deadline).await?;
                let first = match first {
                    Ok(count) => Some(count),
                    Err(error) if error.may_have_executed() => None,
                    Err(_) => Some(0),
                };
                if let Some(complaint) = &again.complaint {
                    tracing::warn!("the guest is thawed, and its agent complains: {complaint}");
                }
                let count = first.zip(again.count).map(|(first, again)| first.saturating_add(again));
                Ok(agent::Thawed { count, attempts: again.attempts.saturating_add(1), ..again })
            }
        }
    }
}

/// Whether a failed freeze is known to have never reached the agent.
fn was_not_sent(failure: &Failure) -> bool {
    match &*failure.cause {
        Cause::RunLog(_) => true,
        Cause::Agent(error) => !error.may_have_executed(),
        _ => false,
    }
}

impl Drop for Frozen<'_> {
    /// The net below [`Frozen::thaw`], for a panic between freeze and thaw.
    fn drop(&mut self) {
        let Some(mut armed) = self.armed.take() else { return };
        let thawing = agent::thaw_until_sure(&mut armed.agent, armed.thaw_deadline);
        if let Err(error) = tokio::task::block_in_place(|| Handle::current().block_on(thawing)) {
            tracing::error!("{error}");
        }
    }
}
