//! Lets the guest write out its dirty pages before the window, so that the freeze finds little to write.

use std::time::Duration;

use guest_bridge::agent::{self, Program};

use crate::ask::connect::World;
use crate::failure::{At, Cause, Failure, Kind};
use crate::run::Run;
use crate::run::entry::Fact;
use crate::step::Step;
use crate::stop::Stop;

/// Runs `sync` in the guest, which may take until `deadline`, where the plan says so. That it fails makes the window longer and the backup no worse: the
/// freeze writes what is left.
///
/// # Errors
/// Only where the run was asked to stop, or the guest is found frozen by someone else.
pub async fn sync_guest(deadline: Option<Duration>, world: &World, run: &Run, stop: &Stop) -> Result<(), Failure> {
    let Some(deadline) = deadline else { return Ok(()) };
    let mut agent = world.agent_for("the guest's sync").at(Step::GuestSync)?;
    let sync = Program::new("sync", [""; 0]);
    let syncing = async {
        let ended = stop.or(agent::run(&mut agent, &sync, deadline)).await??;
        if ended.success() {
            Ok(())
        } else {
            Err(Cause::refused(
                format!("`sync` in the guest ended with {}", ended.exit),
                "look into the guest's own log",
            ))
        }
    };
    if let Err(failure) = run.take(Step::GuestSync, Vec::new(), syncing, |_| Some(Fact::GuestSynced)).await {
        if failure.cause.kind == Kind::GuestFrozen {
            return Err(failure);
        }
        run.note(format!(
            "the guest did not write out its dirty pages beforehand; the freeze will take longer: {failure}"
        ));
    }
    stop.check().at(Step::GuestSync)
}
