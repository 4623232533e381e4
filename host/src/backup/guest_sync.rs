//! Lets the guest write out its dirty pages before the window, so that the freeze finds little to write.

use std::time::Duration;

use guest_bridge::agent::{self, Program};
use serde_json::{Value, json};

use crate::ask::connect::World;
use crate::backup::plan::Plan;
use crate::failure::{At, Cause, Failure};
use crate::run::log::RunLog;
use crate::step::Step;
use crate::stop::Stop;

/// How long the guest may take. A guest that needs longer is frozen all the same: the freeze writes the rest.
const DEADLINE: Duration = Duration::from_secs(120);

/// Runs `sync` in the guest, where the plan says so. That it fails makes the window longer and the backup no worse.
///
/// # Errors
/// Only where the run was asked to stop.
pub async fn sync_guest(plan: &Plan, world: &World, log: &RunLog, stop: &Stop) -> Result<(), Failure> {
    let (true, Some(mut agent)) = (plan.guest_sync, world.agent.clone()) else { return Ok(()) };
    let sync = Program::new("sync", [""; 0]);
    let syncing = stop.or(agent::run(&mut agent, &sync, DEADLINE));
    let outcome = log
        .take(
            Step::GuestSync,
            Value::Null,
            async { Ok::<_, Cause>(syncing.await??) },
            |ended| json!({ "exit": format!("{:?}", ended.exit) }),
        )
        .await;
    if let Err(failure) = outcome {
        tracing::warn!(
            "the guest did not write out its dirty pages beforehand; the freeze will take longer: {failure}"
        );
    }
    stop.check().at(Step::GuestSync)
}
