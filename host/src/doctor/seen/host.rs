//! What this host says, besides its disks.

use std::io;

use lvm::{LvmVersion, Monitoring};

use super::{Answer, Unseen, answer};
use crate::ask::connect::World;
use crate::ask::job::{Job, Target};
use crate::blocking::blocking;
use crate::doctor::folders::{self, FolderSeen};
use crate::recover::{self, LeftRun};
use crate::run::guardian;

/// Its answers.
pub(super) struct HostSeen {
    pub lvm: Answer<LvmVersion>,
    pub monitoring: Answer<Monitoring>,
    pub scans_volumes: Answer<bool>,
    pub left: io::Result<Vec<LeftRun>>,
    pub target: Option<FolderSeen>,
    pub state_dir: FolderSeen,
    pub guardian: Answer<&'static str>,
}

impl HostSeen {
    pub(super) fn take(job: &Job, world: &World) -> Self {
        let folder = match &job.target.value {
            Some(Target::Folder(folder)) => Some(folder),
            Some(Target::Stdout) | None => None,
        };
        let guardian = match &world.guardian {
            Some(starter) => blocking(|| guardian::can_start(&*starter.programs)).map_err(Unseen::Failed),
            None => Err(Unseen::NotAsked("where this program is installed is not known".to_owned())),
        };
        Self {
            lvm: answer(blocking(|| world.lvm.version())),
            monitoring: answer(blocking(|| world.lvm.monitoring())),
            scans_volumes: answer(blocking(|| world.lvm.scans_volumes())),
            left: blocking(|| recover::look(&job.state_dir.value)),
            target: folder.map(|folder| blocking(|| folders::target(folder))),
            state_dir: blocking(|| folders::state_dir(&job.state_dir.value)),
            guardian,
        }
    }
}
