//! The first guard of the window: the database's tables, locked.

use std::time::Duration;

use guest_bridge::agent::SharedAgent;
use guest_bridge::database::OpenSession;
use guest_bridge::database::lock::TablesLock;
use guest_bridge::database::server::Coordinates;
use serde_json::json;

use super::{Frozen, LockFacts};
use crate::backup::plan::{FreezePlan, LockPlan};
use crate::clock::millis;
use crate::failure::{Cause, Failure};
use crate::run::log::RunLog;
use crate::step::Step;
use crate::stop::{Stop, Stopped};

/// The tables are locked, or there is no database to lock.
///
/// Dropping it closes the session, and with the session goes the lock.
#[must_use = "dropping it frees the lock at once"]
pub struct TablesLocked {
    held: Option<Held>,
}

struct Held {
    lock: TablesLock,
    statement_deadline: Duration,
}

/// The tables are free again.
#[derive(Debug)]
pub struct Unlocked {
    /// How long the writers waited.
    pub stall: Option<Duration>,
}

impl TablesLocked {
    /// Takes the lock that `plan` chose; without one there is no database, and nothing is locked.
    ///
    /// # Errors
    /// Where the lock is not granted in time, the session cannot be had, or a signal came first. Nothing is locked then.
    pub async fn take(database: Option<(&LockPlan, &OpenSession)>, log: &RunLog, stop: &Stop) -> Result<Self, Failure> {
        let Some((plan, open)) = database else { return Ok(Self { held: None }) };
        let takes = json!({ "method": plan.choice.method, "expiry_ms": millis(plan.terms.expiry) });
        let locking = async {
            match TablesLock::take_unless(open, &plan.server, &plan.terms, stop.asked()).await? {
                Some(lock) => Ok(lock),
                None => Err(stop.check().err().map_or_else(|| Stopped(0).into(), Cause::from)),
            }
        };
        let detail = |lock: &TablesLock| {
            json!({
                "method": lock.method(), "connection_id": lock.connection_id(),
                "coordinates": lock.coordinates(), "waited_ms": millis(lock.waited()),
            })
        };
        let lock = log.take(Step::Lock, takes, locking, detail).await?;
        Ok(Self { held: Some(Held { lock, statement_deadline: plan.terms.statement_deadline }) })
    }

    /// Where the binlog stands while the lock is held.
    #[must_use]
    pub fn coordinates(&self) -> Option<&Coordinates> {
        self.held.as_ref()?.lock.coordinates()
    }

    /// Freezes the guest under the lock; without a plan, says that no freeze was asked for.
    ///
    /// # Errors
    /// Where the freeze failed. It is thawed again by then, or the failure says that it may not be.
    pub async fn freeze<'l>(
        &'l mut self,
        plan: Option<(&FreezePlan, &SharedAgent)>,
        log: &RunLog,
    ) -> Result<Frozen<'l>, Failure> {
        match plan {
            Some((plan, agent)) => Frozen::take(self, plan, agent.clone(), log).await,
            None => Ok(Frozen::not_asked(self)),
        }
    }

    /// Whether the lock outlasted the snapshot. A lost lock weakens the grade, and fails nothing.
    pub async fn still_held(&mut self, log: &RunLog) -> LockFacts {
        let Some(held) = &mut self.held else { return LockFacts::NotAsked };
        let asking = async { Ok::<_, Cause>(held.lock.still_held(held.statement_deadline).await) };
        let detail = |held: &Result<(), _>| json!({ "held": held.is_ok() });
        match log.release(Step::StillLocked, asking, detail).await {
            Ok(Ok(())) => LockFacts::HeldThrough,
            Ok(Err(lost)) => LockFacts::Lost { reason: lost.to_string() },
            Err(failure) => LockFacts::Lost { reason: failure.to_string() },
        }
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// Where the server did not confirm; the session is closed all the same, which frees the lock.
    pub async fn unlock(self, log: &RunLog) -> Result<Unlocked, Failure> {
        let Some(Held { lock, statement_deadline }) = self.held else { return Ok(Unlocked { stall: None }) };
        let taken_at = lock.taken_at();
        let unlocking = async {
            let stall = lock.unlock(statement_deadline).await.unwrap_or_else(|error| {
                // The session is closed in any case, and a closed session holds nothing.
                tracing::warn!(%error, "the server did not confirm the unlock; the session was closed instead");
                taken_at.elapsed()
            });
            Ok::<_, Cause>(Unlocked { stall: Some(stall) })
        };
        log.release(Step::Unlock, unlocking, |unlocked| json!({ "stall_ms": unlocked.stall.map(millis) })).await
    }
}
