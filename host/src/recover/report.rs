//! What was recovered, as others read it.

use std::time::Duration;

use super::{Found, State};
use crate::documents::recovery::{FORMAT, LeftBehind, RecoveredRun, Recovery, RunState};
use crate::failure::Cause;
use crate::run::held::Held;

/// The document of what was found.
#[must_use]
pub fn report(found: &[Found]) -> Recovery {
    Recovery { format: FORMAT, runs: found.iter().map(run).collect() }
}

fn run(found: &Found) -> RecoveredRun {
    let (run, vm) = found.run.as_ref().map(|(run, vm)| (run.to_string(), vm.clone())).unzip();
    let state = match &found.state {
        State::Alive => RunState::Alive,
        State::Nothing => RunState::Nothing,
        State::Dead { freed, by_itself, waits, left } => RunState::Dead {
            freed: freed.iter().map(ToString::to_string).collect(),
            by_itself: by_itself.iter().map(goes).collect(),
            waits: waits.iter().map(ToString::to_string).collect(),
            left: left.iter().map(left_behind).collect(),
        },
        State::Unreadable(why) => RunState::Unreadable { why: why.clone() },
    };
    RecoveredRun { log: found.path.display().to_string(), run, vm, state }
}

fn goes((held, within): &(Held, Duration)) -> String {
    format!("{held}, within {} s of the run's end", within.as_secs())
}

fn left_behind((held, why): &(Held, Cause)) -> LeftBehind {
    LeftBehind { what: held.to_string(), why: why.to_string(), hint: why.hint().to_owned() }
}
