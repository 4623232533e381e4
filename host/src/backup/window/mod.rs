//! The window: everything that happens while a guest stands still, in the one order that is safe.
//!
//! lock, coordinates, freeze, snapshot, thaw, still locked?, unlock. The guards are types: [`Frozen`] borrows
//! [`TablesLocked`], so an unlock before the thaw does not compile:
//!
//! ```compile_fail,E0505
//! # use stillpoint::{backup::window::TablesLocked, failure::Failure, run::log::RunLog};
//! async fn wrong(mut tables: TablesLocked, log: &RunLog) -> Result<(), Failure> {
//!     let frozen = tables.freeze(None, log).await?;
//!     tables.unlock(log).await?;
//!     frozen.thaw(log).await?;
//!     Ok(())
//! }
//! ```
//!
//! The same in the right order does:
//!
//! ```
//! # use stillpoint::{backup::window::TablesLocked, failure::Failure, run::log::RunLog};
//! async fn right(mut tables: TablesLocked, log: &RunLog) -> Result<(), Failure> {
//!     let frozen = tables.freeze(None, log).await?;
//!     frozen.thaw(log).await?;
//!     tables.unlock(log).await?;
//!     Ok(())
//! }
//! ```

mod facts;
mod frozen;
mod tables_locked;

use guest_bridge::database::server::Coordinates;
use serde::Serialize;

pub use facts::{FreezeFacts, LockFacts};
pub use frozen::{Frozen, Thawed};
pub use tables_locked::{TablesLocked, Unlocked};

use crate::ask::connect::World;
use crate::backup::plan::WindowPlan;
use crate::backup::snapshots::Snapshots;
use crate::clock::millis;
use crate::failure::{At, Failure, both};
use crate::run::log::RunLog;
use crate::step::Step;
use crate::stop::Stop;

/// What the window was, for grade and receipt.
#[derive(Clone, Debug, Serialize)]
pub struct WindowReport {
    /// When the last snapshot was attached, RFC 3339, UTC.
    pub snapshot_at: String,
    /// Freeze to thaw, as the host saw it: from the freeze command's sending to the thaw's answer.
    pub window_ms: Option<u64>,
    /// Lock to unlock: how long the database's writers waited.
    pub stall_ms: Option<u64>,
    /// Where the binlog stood under the lock.
    pub coordinates: Option<Coordinates>,
    /// What became of the lock.
    pub lock: LockFacts,
    /// What became of the freeze.
    pub freeze: FreezeFacts,
}

/// Passes the window: on return, also with an error, the guest is thawed and its tables are unlocked, or the error says
/// that they may not be. Whatever snapshots were attached are the caller's to remove.
///
/// # Errors
/// The first step that failed, with every failed release beside it.
pub async fn pass(
    plan: &WindowPlan,
    world: &World,
    snapshots: &mut Snapshots,
    log: &RunLog,
    stop: &Stop,
) -> Result<WindowReport, Failure> {
    let mut tables = TablesLocked::take(plan.lock.as_ref().zip(world.database.as_ref()), log, stop).await?;
    let coordinates = tables.coordinates().cloned();

    let stood_still = async {
        stop.check().at(Step::Freeze)?;
        let frozen = tables.freeze(plan.freeze.as_ref().zip(world.agent.as_ref()), log).await?;
        let attached = snapshots.attach(log, stop).await;
        let snapshot_at = world.clock.utc();
        let thawed = frozen.thaw(log).await;
        both(attached, thawed).map(|((), thawed)| (thawed, snapshot_at))
    }
    .await;
    let lock = match &stood_still {
        Ok(_) => tables.still_held(log).await,
        Err(_) => LockFacts::NotAsked,
    };
    let ((thawed, snapshot_at), unlocked) = both(stood_still, tables.unlock(log).await)?;

    Ok(WindowReport {
        snapshot_at,
        window_ms: thawed.window.map(millis),
        stall_ms: unlocked.stall.map(millis),
        coordinates,
        lock,
        freeze: thawed.facts,
    })
}
