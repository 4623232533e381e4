//! Which of the volumes here are of runs of ours, and whether those runs live.

use std::collections::BTreeMap;
use std::path::Path;

use lvm::{RunId, Volume};

use crate::run::log::folder;
use crate::run::record::RunRecord;

/// What is known of a run of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It lives, or somebody recovers it.
    Alive,
    /// It died, and its log is here.
    Dead,
    /// It has no log here, or none that can be read: it may be another host's, or of another state folder, and alive.
    Unknown,
}

pub(super) fn runs(volumes: &[Volume], state_dir: &Path) -> BTreeMap<RunId, RunState> {
    let ours = volumes.iter().filter(|volume| volume.is_ours);
    ours.filter_map(|volume| RunId::of_volume(&volume.name)).map(|run| (run.clone(), state(&run, state_dir))).collect()
}

fn state(run: &RunId, state_dir: &Path) -> RunState {
    match RunRecord::is_alive(&folder(state_dir).join(format!("{run}.jsonl"))) {
        Ok(true) => RunState::Alive,
        Ok(false) => RunState::Dead,
        Err(_) => RunState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::recorded::volume;
    use crate::clock::Clock;
    use crate::run::Run;
    use crate::run::event::Listeners;

    #[test]
    fn a_run_lives_while_its_log_is_locked_and_without_a_log_nobody_knows() {
        let state_dir = tempfile::tempdir().unwrap();
        let run = Run::begin(state_dir.path(), "db1", Clock::system(), Listeners::default()).unwrap();
        let id = run.id().clone();
        let ours = |name: String| Volume { is_ours: true, ..volume('s', &name, "swi-a-s---", "db") };
        let volumes = [ours(format!("vg/stillpoint-{id}-0")), ours("vg/stillpoint-r1-0".to_owned())];
        let elsewhere = ("r1".parse().unwrap(), RunState::Unknown);
        let here = |state| BTreeMap::from([(id.clone(), state), elsewhere.clone()]);
        assert_eq!(runs(&volumes, state_dir.path()), here(RunState::Alive));
        drop(run);
        assert_eq!(runs(&volumes, state_dir.path()), here(RunState::Dead));
    }
}
