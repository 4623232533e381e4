//! The first guard of the window: the database's tables, locked.

use std::time::Duration;

use guest_bridge::database::OpenSession;
use guest_bridge::database::lock::TablesLock;
use guest_bridge::database::server::Coordinates;

use super::{Freeze, Frozen, LockFacts};
use crate::backup::plan::LockPlan;
use crate::clock::millis;
use crate::failure::{Cause, Failure};
use crate::run::Run;
use crate::run::entry::Fact;
use crate::run::held::Held;
use crate::step::Step;
use crate::stop::{Stop, Stopped};

/// The tables are locked, or there is no database to lock.
///
/// Dropping it closes the session, and with the session goes the lock.
#[must_use = "dropping it frees the lock at once"]
pub struct TablesLocked {
    locked: Option<Locked>,
}

struct Locked {
    lock: TablesLock,
    holds: Held,
    statement_deadline: Duration,
}

/// The tables are free again.
#[derive(Debug)]
pub struct Unlocked {
    /// How long the writers waited.
    pub stall: Option<Duration>,
}

impl TablesLocked {
    /// Takes the lock that the plan chose; without one there is no database, and nothing is locked. Its intent is the
    /// caller's: the freeze's is written with it.
    ///
    /// # Errors
    /// Where the lock is not granted in time, the session cannot be had, or a signal came first. Nothing is locked then.
    pub async fn take(database: Option<(&LockPlan, OpenSession)>, run: &Run, stop: &Stop) -> Result<Self, Failure> {
        let Some((plan, open)) = database else { return Ok(Self { locked: None }) };
        let locking = async {
            match TablesLock::take_unless(&open, plan.choice.method, &plan.server, &plan.terms, stop.asked()).await? {
                Some(lock) => Ok(lock),
                None => Err(stop.check().err().map_or_else(|| Stopped(0).into(), Cause::from)),
            }
        };
        let fact = |lock: &TablesLock| {
            Some(Fact::Locked {
                method: lock.method(),
                connection_id: lock.connection_id(),
                coordinates: lock.coordinates().cloned(),
                waited_ms: millis(lock.waited()),
            })
        };
        let lock = run.take_or_nothing(Step::Lock, vec![plan.holds()], locking, fact).await?;
        Ok(Self {
            locked: Some(Locked { lock, holds: plan.holds(), statement_deadline: plan.terms.statement_deadline }),
        })
    }

    /// Where the binlog stands while the lock is held.
    #[must_use]
    pub fn coordinates(&self) -> Option<&Coordinates> {
        self.locked.as_ref()?.lock.coordinates()
    }

    /// Freezes the guest under the lock; without a plan, no freeze was asked for.
    ///
    /// # Errors
    /// Where the freeze failed. It is thawed again by then, or the failure says that it may not be.
    pub async fn freeze<'l>(&'l mut self, freeze: Option<Freeze<'_>>, run: &Run) -> Result<Frozen<'l>, Failure> {
        match freeze {
            Some(freeze) => Frozen::take(self, freeze, run).await,
            None => Ok(Frozen::not_asked(self)),
        }
    }

    /// Whether the lock outlasted the snapshot. A lost lock weakens the grade, and fails nothing.
    pub async fn still_held(&mut self, run: &Run) -> LockFacts {
        let Some(locked) = &mut self.locked else { return LockFacts::NotAsked };
        let asking = async { Ok::<_, Cause>(locked.lock.still_held(locked.statement_deadline).await) };
        let fact = |held: &Result<(), _>| Some(Fact::StillLocked { held: held.is_ok() });
        match run.step(Step::StillLocked, asking, fact).await {
            Ok(Ok(())) => LockFacts::HeldThrough,
            Ok(Err(lost)) => LockFacts::Lost { reason: lost.to_string() },
            Err(failure) => LockFacts::Lost { reason: failure.to_string() },
        }
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// None today: where the server does not confirm, the session is closed, and a closed session holds nothing.
    pub async fn unlock(self, run: &Run) -> Result<Unlocked, Failure> {
        let Some(Locked { lock, holds, statement_deadline }) = self.locked else { return Ok(Unlocked { stall: None }) };
        let taken_at = lock.taken_at();
        let unlocking = async {
            let stall = lock.unlock(statement_deadline).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the server did not confirm the unlock; the session was closed instead");
                taken_at.elapsed()
            });
            Ok::<_, Cause>(stall)
        };
        let fact = |stall: &Duration| Some(Fact::Unlocked { stall_ms: millis(*stall) });
        let stall = run.release(Step::Unlock, vec![holds], unlocking, fact).await?;
        Ok(Unlocked { stall: Some(stall) })
    }
}
