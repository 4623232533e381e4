//! The first guard of the window: the database's tables, locked.

use std::time::{Duration, Instant};

use guest_bridge::database::OpenSession;
use guest_bridge::database::agent_session::Owner;
use guest_bridge::database::engine_logs::EngineLogs;
use guest_bridge::database::lock::{LetGo, TablesLock};
use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::database::server::{Coordinates, GaleraState, LsnBounds, Replicates};

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
    needed_because: Option<String>,
    statement_deadline: Duration,
}

/// The tables are free again.
#[derive(Debug)]
pub struct Unlocked {
    /// How long the writers waited for the lock; `None` where none of theirs was locked.
    pub stall: Option<Duration>,
    /// What became of the lock.
    pub lock: LockFacts,
    /// Where the redo log stood, of a server without a binlog.
    pub lsn: Option<LsnBounds>,
    /// Where the binlog stood, where commits went on.
    pub coordinates: Option<Coordinates>,
}

impl TablesLocked {
    /// Takes the lock that the plan chose; without one there is no database, and nothing is locked. Its intent is the
    /// caller's: the freeze's is written with it.
    ///
    /// # Errors
    /// Where the lock is not granted in time, the session cannot be had, or a signal came first. Nothing is locked then.
    pub async fn take(
        database: Option<(&LockPlan, OpenSession)>,
        owner: Option<&Owner>,
        run: &Run,
        stop: &Stop,
    ) -> Result<Self, Failure> {
        let Some((plan, open)) = database else { return Ok(Self { locked: None }) };
        let locking = async {
            match TablesLock::take_unless(&open, &plan.choice, &plan.server, &plan.terms, stop.asked()).await? {
                Some(lock) => Ok(lock),
                None => Err(stop.check().err().map_or_else(|| Stopped(0).into(), Cause::from)),
            }
        };
        let fact = |lock: &TablesLock| {
            Some(Fact::Locked {
                method: lock.method(),
                connection_id: lock.connection_id(),
                coordinates: lock.coordinates().cloned(),
                engine_logs: Some(lock.engine_logs().clone()),
                waited_ms: millis(lock.waited()),
            })
        };
        let lock = run.take_or_nothing(Step::Lock, vec![plan.holds(owner)], locking, fact).await?;
        if let Some(why) = lock.went_without() {
            run.note(format!("no lock is held, and commits go on, which this server's image shows as well: {why}"));
        }
        Ok(Self {
            locked: Some(Locked {
                lock,
                holds: plan.holds(owner),
                needed_because: plan.choice.needed_because.clone(),
                statement_deadline: plan.terms.statement_deadline,
            }),
        })
    }

    /// Whether commits go on under what is held.
    #[must_use]
    pub fn commits_go_on(&self) -> bool {
        self.locked.as_ref().is_some_and(|locked| !locked.lock.method().stops_commits())
    }

    /// Where the binlog stood when the lock was granted.
    #[must_use]
    pub fn coordinates(&self) -> Option<&Coordinates> {
        self.locked.as_ref()?.lock.coordinates()
    }

    /// From whom the server replicates, and how far it is, under the lock.
    #[must_use]
    pub fn replicates(&self) -> Option<&Replicates> {
        self.locked.as_ref()?.lock.replicates()
    }

    /// Where the server's Galera node stood under the lock.
    #[must_use]
    pub fn galera(&self) -> Option<&GaleraState> {
        self.locked.as_ref()?.lock.galera()
    }

    /// Whether what was acknowledged before the lock was in the files; `None` where there is none.
    #[must_use]
    pub fn engine_logs(&self) -> Option<&EngineLogs> {
        Some(self.locked.as_ref()?.lock.engine_logs())
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

    /// Gives the lock back, and asks in the same round trip whether it was held until then. A lost lock weakens the grade, and
    /// fails nothing.
    ///
    /// # Errors
    /// None today: where the server does not confirm, the session is closed, and a closed session holds nothing.
    pub async fn unlock(self, run: &Run) -> Result<Unlocked, Failure> {
        let Some(Locked { mut lock, holds, needed_because, statement_deadline }) = self.locked else {
            return Ok(Unlocked { stall: None, lock: LockFacts::NotAsked, lsn: None, coordinates: None });
        };
        let method = lock.method();
        let ending = async { Ok::<_, Cause>(lock.let_go(statement_deadline).await) };
        let fact = |ended: &LetGo| Some(Fact::StillLocked { held: ended.held.is_ok() });
        let LetGo { held, unlocked, stall, lsn, coordinates } = run.step(Step::StillLocked, ending, fact).await?;
        // What was not held cannot be lost.
        let held = if method == LockMethod::None { Ok(()) } else { held };
        let facts = LockFacts::of(held, lock.engine_logs());
        let facts = if method.stops_commits() { facts } else { facts.where_commits_went_on(needed_because) };
        let stall = if method.stops_commits() { stall } else { Duration::ZERO };
        let closing = async {
            let stall = match unlocked {
                Ok(()) => stall,
                Err(error) => {
                    tracing::warn!(%error, "the server did not confirm the unlock; the session is closed instead");
                    let asked = Instant::now();
                    lock.close().await;
                    let more = if method.stops_commits() { asked.elapsed() } else { Duration::ZERO };
                    return Ok::<_, Cause>(stall + more);
                }
            };
            // Nobody waits for the lock any more, but a cluster may for its node.
            match lock.wait_for_synced(statement_deadline).await {
                Ok(None) => {}
                Ok(Some(state)) if state == "Synced" => {}
                Ok(Some(state)) => run.note(format!("the database's Galera node is {state}, and not Synced again yet")),
                Err(error) => {
                    run.note(format!("whether the database's Galera node is Synced again is not known: {error}"))
                }
            }
            lock.close().await;
            Ok(stall)
        };
        let fact = |stall: &Duration| Some(Fact::Unlocked { stall_ms: millis(*stall) });
        let stall = run.release(Step::Unlock, vec![holds], closing, fact).await?;
        let stall = method.stops_commits().then_some(stall);
        Ok(Unlocked { stall, lock: facts, lsn, coordinates })
    }
}
