//! Gives back what runs left behind that died, by their logs. To be called as often as wanted: what is not held any more is not
//! touched, a run that lives keeps its log locked, and so does whoever recovers one.

mod boot;
pub mod decide;
mod look;
mod one;
mod report;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use guest_bridge::agent::SharedAgent;
use lvm::{Lvm, RunId};

pub use self::boot::this_boot;
pub use self::look::{LeftRun, look};
pub use self::one::{recover, recover_when_it_dies};
pub use self::report::report;

use crate::clock::Clock;
use crate::failure::Cause;
use crate::run::held::Held;
use crate::run::log::folder;

/// What a recovery reaches through.
#[derive(Clone)]
pub struct Reach<'r> {
    /// This host's LVM.
    pub lvm: Lvm,
    /// The agent at an endpoint, `unix:PATH`, `tcp:HOST:PORT` or `vsock:CID:PORT`.
    pub agent: &'r (dyn Fn(&str) -> Result<SharedAgent, Cause> + Sync),
    /// The clock.
    pub clock: Clock,
    /// `/proc/sys/kernel/random/boot_id` of this boot.
    pub boot_id: String,
    /// How long a thaw is repeated.
    pub thaw_deadline: Duration,
    /// How long the guest may take to remove its markers.
    pub unmark_deadline: Duration,
}

/// A run log, and what became of it.
#[derive(Debug)]
pub struct Found {
    /// The log.
    pub path: PathBuf,
    /// The run and its VM, where the log could be read.
    pub run: Option<(RunId, String)>,
    /// What was found.
    pub state: State,
}

/// What a log said, and what was done about it.
#[derive(Debug)]
pub enum State {
    /// The run lives, or somebody else recovers it.
    Alive,
    /// It holds nothing.
    Nothing,
    /// It held something.
    Dead {
        /// What was given back now.
        freed: Vec<Held>,
        /// What goes by itself, within this time of the run's death.
        by_itself: Vec<(Held, Duration)>,
        /// What lies on the disks of a VM that does not run, and is given back once it does.
        waits: Vec<Held>,
        /// What could not be given back, and why.
        left: Vec<(Held, Cause)>,
    },
    /// It cannot be read, and says nothing of what is held: a person has to look.
    Unreadable(String),
}

impl State {
    /// Whether something is left for a person.
    #[must_use]
    pub fn needs_person(&self) -> bool {
        match self {
            Self::Alive | Self::Nothing => false,
            Self::Dead { left, .. } => !left.is_empty(),
            Self::Unreadable(_) => true,
        }
    }
}

/// Recovers every run below `state_dir` that is not alive, oldest first.
///
/// # Errors
/// Where the folder of logs cannot be listed. One that is not there holds nothing.
pub async fn recover_all(state_dir: &Path, reach: &Reach<'_>) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in logs(state_dir)? {
        found.push(recover(&path, reach).await);
    }
    Ok(found)
}

fn logs(state_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder(state_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    // A name begins with the second of the run's start.
    paths.sort();
    Ok(paths)
}
