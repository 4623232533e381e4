//! The window: everything that happens while a guest stands still, in the one order that is safe.
//!
//! snapshots a moment away, lock, engine logs flushed, coordinates, freeze, snapshot, thaw, still locked?, unlock. The guards are types: [`Frozen`] borrows
//! [`TablesLocked`], so an unlock before the thaw does not compile:
//!
//! ```compile_fail,E0505
//! # use stillpoint::{backup::window::TablesLocked, failure::Failure, run::Run};
//! async fn wrong(mut tables: TablesLocked, run: &Run) -> Result<(), Failure> {
//!     let frozen = tables.freeze(None, run).await?;
//!     tables.unlock(run).await?;
//!     frozen.thaw(run).await?;
//!     Ok(())
//! }
//! ```
//!
//! The same in the right order does:
//!
//! ```
//! # use stillpoint::{backup::window::TablesLocked, failure::Failure, run::Run};
//! async fn right(mut tables: TablesLocked, run: &Run) -> Result<(), Failure> {
//!     let frozen = tables.freeze(None, run).await?;
//!     frozen.thaw(run).await?;
//!     tables.unlock(run).await?;
//!     Ok(())
//! }
//! ```

mod after_thaw;
mod facts;
mod frozen;
mod tables_locked;

use std::time::Instant;

use guest_bridge::database::engine_logs::EngineLogs;
use guest_bridge::database::server::{Coordinates, GaleraState, LsnBounds, Replicates};

pub use after_thaw::{ask_again, refuse_frozen};
pub use facts::{FreezeFacts, LockFacts};
pub use frozen::{Freeze, Frozen, Thawed};
pub use tables_locked::{TablesLocked, Unlocked};

use self::after_thaw::{AfterThaw, after_thaw};
use super::disk::{Disk, Prepared};
use super::origins::Origins;
use super::plan::WindowPlan;
use super::snapshots::Ready;
use super::thaw_proof::Seen;
use crate::ask::connect::World;
use crate::clock::millis;
use crate::cow::attached::Attached;
use crate::failure::{At, Failure, both};
use crate::run::Run;
use crate::run::held::Means;
use crate::step::Step;
use crate::stop::Stop;

/// What the window was, for grade and receipt.
#[derive(Clone, Debug)]
pub struct WindowReport {
    /// When the last snapshot was attached, RFC 3339, UTC.
    pub snapshot_at: String,
    /// Freeze to thaw, as the host saw it: from the freeze command's sending to the thaw's answer.
    pub window_ms: Option<u64>,
    /// How long the database's writers waited: lock to unlock, or the window, where commits went on.
    pub stall_ms: Option<u64>,
    /// Where the binlog stood when the lock was granted.
    pub coordinates: Option<Coordinates>,
    /// Where it stood at the unlock, where commits went on.
    pub went_on: Option<WentOn>,
    /// From whom the server replicates, and how far it was under the lock; `None` where that is not known.
    pub replicates: Option<Replicates>,
    /// Where its Galera node stood under the lock; `None` where it is none.
    pub galera: Option<GaleraState>,
    /// Where the redo log stood, of a server without a binlog.
    pub lsn: Option<LsnBounds>,
    /// Whether what was acknowledged before the lock was in the files; `None` where nothing was locked.
    pub engine_logs: Option<EngineLogs>,
    /// What became of the lock.
    pub lock: LockFacts,
    /// What became of the freeze.
    pub freeze: FreezeFacts,
    /// When the freeze was sent; `None` where none was.
    pub frozen_at: Option<Instant>,
    /// What the filesystems showed on their disks after the thaw.
    pub seen: Vec<Seen>,
}

/// Commits went on between lock and unlock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WentOn {
    /// Where the binlog stood at the unlock; `None` where that is not known.
    pub to: Option<Coordinates>,
}

/// Passes the window: on return, also with an error, the guest is thawed and its tables are unlocked, or the error says
/// that they may not be. Whatever snapshots were attached are the caller's to remove.
///
/// # Errors
/// The first step that failed, with every failed release beside it.
pub async fn pass(
    plan: &WindowPlan,
    disks: Vec<Disk<Prepared>>,
    origins: Origins,
    world: &World,
    means: &Means,
    run: &Run,
    stop: &Stop,
) -> Result<(WindowReport, Vec<Disk<Attached>>), Failure> {
    let database = |lock| world.database_for("the lock").map(|open| (lock, open));
    let database = plan.lock.as_ref().map(database).transpose().at(Step::Lock)?;
    let freeze = plan.freeze.as_ref().map(|plan| Freeze { plan, means });

    let not_taken = |failure: &Failure| {
        if let Some(lock) = &plan.lock {
            run.failed(Step::Lock, vec![lock.holds(world.session.as_ref())], failure);
        }
        if let Some(freeze) = &plan.freeze {
            run.failed(Step::Freeze, vec![freeze.holds()], failure);
        }
    };
    let not_frozen = |failure: &Failure| {
        if let Some(freeze) = &plan.freeze {
            run.failed(Step::Freeze, vec![freeze.holds()], failure);
        }
    };
    // Both intents are on the disk before anybody waits for us, and no line is until nobody does any more.
    if let Some(freeze) = &plan.freeze {
        run.intend(Step::Freeze, vec![freeze.holds()])?;
    }
    if let Some(lock) = &plan.lock {
        run.intend(Step::Lock, vec![lock.holds(world.session.as_ref())]).inspect_err(not_frozen)?;
    }
    // Before anybody waits for us: the volume groups may be another command's for a while.
    let ready = Ready::make(disks, means, plan.attach_deadline, run).inspect_err(not_taken)?;
    let held_back = run.hold_back();

    let mut tables = TablesLocked::take(database, world.session.as_ref(), run, stop).await.inspect_err(not_frozen)?;
    let (coordinates, engine_logs) = (tables.coordinates().cloned(), tables.engine_logs().cloned());
    let (replicates, galera) = (tables.replicates().cloned(), tables.galera().cloned());
    let commits_go_on = tables.commits_go_on();

    let mut watch = None;
    let stood_still = async {
        stop.check().at(Step::Freeze).inspect_err(not_frozen)?;
        let began = Instant::now();
        let frozen = tables.freeze(freeze, run).await?;
        let look = origins.look();
        // What the freeze has taken of it is gone.
        let left = plan.deadline.saturating_sub(began.elapsed());
        let attached = ready.attach(left, run, stop).await;
        let snapshot_at = world.clock.utc();
        // What has not answered by now may answer of a guest that is thawed.
        let unfrozen = look.live_so_far();
        let thawed = frozen.thaw(run).await;
        watch = thawed.as_ref().ok().map(|thawed| (origins.watch(|_| true), thawed.clone()));
        both(attached, thawed).map(|(attached, thawed)| (attached, thawed, snapshot_at, unfrozen))
    }
    .await;
    let unlocked = tables.unlock(run).await;
    // Nobody stands still any more, if the agent is right. Until it is sure, the log on the disk says that the guest may be frozen.
    let asked = match (freeze, &watch) {
        (Some(freeze), Some((_, thawed))) => ask_again(thawed.clone(), freeze, run).await.map(Some),
        _ => Ok(None),
    };
    drop(held_back);
    let after = match watch.zip(freeze) {
        Some(((watch, thawed), freeze)) => after_thaw(&origins, watch, freeze, thawed.frozen_at, run).await,
        None => Ok(AfterThaw::default()),
    };
    let passed = both(both(stood_still, unlocked), asked);
    let after = if passed.is_ok() { after } else { after.and_then(AfterThaw::refuse_frozen) };
    let ((((attached, thawed, snapshot_at, unfrozen), unlocked), asked), after) = both(passed, after)?;
    let thawed = asked.unwrap_or(thawed);
    for on in unfrozen {
        run.note(format!("the guest has answered the freeze, and {on} shows on its disk that it is not frozen"));
    }

    let window_ms = after.window.or(thawed.window).map(millis);
    let report = WindowReport {
        snapshot_at,
        window_ms,
        stall_ms: unlocked.stall.map(millis).or(window_ms.filter(|_| commits_go_on)),
        coordinates,
        went_on: commits_go_on.then_some(WentOn { to: unlocked.coordinates }),
        replicates,
        galera,
        lsn: unlocked.lsn,
        engine_logs,
        lock: unlocked.lock,
        freeze: if world.agent.is_none() { FreezeFacts::NoAgent } else { thawed.facts },
        frozen_at: thawed.frozen_at,
        seen: after.seen,
    };
    Ok((report, attached))
}
