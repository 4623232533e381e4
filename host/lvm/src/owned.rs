//! The volumes that this program made: how they are told from all others, and the guard that removes them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{Bytes, CowVolume, LvName, Lvm, LvmError, Origin};

/// The tag of every volume that this program makes.
pub(super) const TAG: &str = "stillpoint";
/// How the name of every such volume starts.
const PREFIX: &str = "stillpoint-";

/// Names one run in the names of its volumes: 1 to 32 of `a-z 0-9`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

/// The text is no [`RunId`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no run id: 1 to 32 of a-z and 0-9")]
pub struct RunIdError(String);

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(RunIdError(text.to_owned())) }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A volume that a run of this program made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedVolume {
    /// Its name.
    pub name: LvName,
    /// The run that made it.
    pub run: RunId,
    /// What it is a snapshot of; `None` for a COW that was never attached.
    pub origin: Option<LvName>,
}

/// What could not be removed, and what could.
#[derive(Debug, Error)]
#[error("{} of the run's volumes could not be removed: {}", failed.len(), failed.iter().map(|(_, e)| e.to_string()).collect::<Vec<_>>().join("; "))]
pub struct UndoError {
    /// Volumes that are gone.
    pub removed: Vec<LvName>,
    /// Volumes that are still there, and why. Empty if LVM could not even be asked, see `source`.
    pub failed: Vec<(Option<LvName>, LvmError)>,
}

/// All volumes of one run. Armed before the first of them exists; what is still there when it is dropped is removed then.
#[derive(Debug)]
pub struct RunVolumes {
    lvm: Lvm,
    run: RunId,
    made: u32,
    armed: bool,
}

impl Lvm {
    /// The guard for the volumes that a run is going to make.
    #[must_use]
    pub fn run_volumes(&self, run: &RunId) -> RunVolumes {
        RunVolumes { lvm: self.clone(), run: run.clone(), made: 0, armed: false }
    }

    /// Every volume on this host that a run of this program made and that is still there.
    pub fn owned(&self) -> Result<Vec<OwnedVolume>, LvmError> {
        let owned = self.lvs(None)?.into_iter().filter(|row| row.has_tag(TAG)).filter_map(|row| {
            let name = LvName::new(&row.vg_name, &row.lv_name).ok()?;
            let origin = LvName::new(&row.vg_name, &row.origin).ok();
            Some(OwnedVolume { run: run_of(&name)?, name, origin })
        });
        Ok(owned.collect())
    }

    /// Removes whatever a run left, attached or not. Does nothing where nothing is left: it can be called as often as wanted.
    pub fn undo(&self, run: &RunId) -> Result<Vec<LvName>, UndoError> {
        let owned = self.owned().map_err(|error| UndoError { removed: Vec::new(), failed: vec![(None, error)] })?;
        let (mut removed, mut failed) = (Vec::new(), Vec::new());
        for volume in owned.into_iter().filter(|volume| volume.run == *run) {
            match self.remove(&volume.name) {
                Ok(()) => removed.push(volume.name),
                Err(error) => failed.push((Some(volume.name), error)),
            }
        }
        if failed.is_empty() { Ok(removed) } else { Err(UndoError { removed, failed }) }
    }
}

impl RunVolumes {
    /// Makes and wipes a COW volume for a snapshot of `origin`, of at least `size`. Takes seconds: before the window.
    pub fn create_cow(&mut self, origin: &Origin, size: Bytes) -> Result<CowVolume, LvmError> {
        self.armed = true;
        let name = LvName::new(origin.name.vg(), &format!("{PREFIX}{}-{}", self.run, self.made))
            .map_err(|error| LvmError::NotAnOrigin { name: origin.name.clone(), why: error.to_string() })?;
        self.made += 1;
        self.lvm.create_cow(origin, name, size)
    }

    /// Removes all of them.
    pub fn remove(&mut self) -> Result<Vec<LvName>, UndoError> {
        let removed = self.lvm.undo(&self.run)?;
        self.armed = false;
        Ok(removed)
    }
}

impl Drop for RunVolumes {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        match self.lvm.undo(&self.run) {
            Ok(removed) => {
                tracing::warn!(run = %self.run, ?removed, "removed the volumes of a run that did not end as it should")
            }
            Err(error) => {
                tracing::error!(run = %self.run, %error, "volumes of the run are left; `lvremove` each")
            }
        }
    }
}

/// The run in a name of ours: `stillpoint-RUN-N`.
pub(super) fn run_of(name: &LvName) -> Option<RunId> {
    let (run, number) = name.lv().strip_prefix(PREFIX)?.split_once('-')?;
    number.parse::<u32>().ok()?;
    run.parse().ok()
}
