//! `stillpoint recover`.

use std::path::Path;
use std::time::Duration;

use guest_bridge::agent::{Endpoint, QgaTransport, SharedAgent};

use super::args::RecoverArgs;
use super::{describe, render};
use crate::ask::config::Config;
use crate::ask::job::state_dir;
use crate::clock::Clock;
use crate::documents::recovery::Recovery;
use crate::failure::exit::Exit;
use crate::failure::{At, Cause, Failure, Kind};
use crate::recover::{self, Reach, State, this_boot};
use crate::step::Step;

pub(super) async fn run(args: RecoverArgs) -> Exit {
    let (json, all) = (args.json, args.all);
    match recover(&args).await {
        Ok((recovery, exit)) if json => render::json(&recovery, exit),
        Ok((recovery, exit)) => render::text(&describe::recovery(&recovery, all), exit),
        Err(failure) => render::failure("recover", &failure, json),
    }
}

async fn recover(args: &RecoverArgs) -> Result<(Recovery, Exit), Failure> {
    // A second signal while something is given back must not leave half of it.
    let _stop = super::stop_on_signals()?;
    let config = Config::load(args.config.as_deref()).at(Step::Job)?;
    let state_dir = state_dir(args.state_dir.clone(), &config).value;
    let found = recover::recover_all(&state_dir, &reach())
        .await
        .map_err(|error| unlisted(&state_dir, error))
        .at(Step::Recover)?;
    let exit = if found.iter().any(|found| found.state.needs_person()) { Exit::NeedsPerson } else { Exit::Done };
    let told = found.into_iter().filter(|found| args.all || !matches!(found.state, State::Nothing));
    Ok((recover::report(&told.collect::<Vec<_>>()), exit))
}

fn unlisted(state_dir: &Path, error: std::io::Error) -> Cause {
    Cause::of(Kind::RunLog, None, std::io::Error::other(format!("run logs in {}: {error}", state_dir.display())))
}

/// What `backup` does first. That something is left keeps no other VM from its backup, and is said.
pub(super) async fn recover_first(state_dir: &Path) {
    match recover::recover_all(state_dir, &reach()).await {
        Ok(found) => {
            let told: Vec<_> = found.into_iter().filter(|found| matches!(found.state, State::Dead { .. })).collect();
            if !told.is_empty() {
                tracing::warn!("{}", describe::recovery(&recover::report(&told), false).trim_end());
            }
        }
        Err(error) => tracing::warn!("{}", unlisted(state_dir, error)),
    }
}

/// The real world.
pub(super) fn reach() -> Reach<'static> {
    Reach {
        lvm: lvm::Lvm::new(std::sync::Arc::new(lvm::programs::HostPrograms)),
        agent: &agent,
        clock: Clock::system(),
        boot_id: this_boot(),
        thaw_deadline: Duration::from_secs(60),
        unmark_deadline: Duration::from_secs(15),
    }
}

fn agent(endpoint: &str) -> Result<SharedAgent, Cause> {
    let endpoint: Endpoint =
        endpoint.parse().map_err(|error| Cause::refused(format!("{endpoint}: {error}"), "look into the run's log"))?;
    Ok(SharedAgent::new(QgaTransport::new(endpoint)))
}
