//! The run log on disk: one [`Entry`] a line, appended.
//!
//! An intent is synced before anybody acts on it, so that a run that dies by any means leaves the line that says what it may
//! still hold. The file is locked for as long as the run lives: whether it does is then no question of process numbers.

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lvm::RunId;

use super::entry::Entry;
use crate::failure::{Cause, Kind};

/// A run log could not be written; nothing is taken without it.
#[derive(Debug, thiserror::Error)]
#[error("run log {path}: {source}")]
pub struct RunLogError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl From<RunLogError> for Cause {
    fn from(error: RunLogError) -> Self {
        let hint = match error.source.kind() {
            io::ErrorKind::PermissionDenied => "run it as root, or name a folder of yours with --state-dir",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some room there, or name another folder with --state-dir (state_dir in the configuration)"
            }
            _ => "name a folder that can be written to with --state-dir (state_dir in the configuration)",
        };
        Self::of(Kind::RunLog, Some(hint.to_owned()), error)
    }
}

/// A run log that is being written.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    file: File,
    /// While somebody must not be kept waiting by a disk, lines wait here.
    held_back: Option<VecDeque<String>>,
}

impl RunLog {
    /// Makes the log `STATE_DIR/runs/RUN.jsonl`, readable by its owner only, and locks it.
    ///
    /// # Errors
    /// Where the folder or the file cannot be made, or the log exists.
    pub fn create(state_dir: &Path, run: &RunId) -> Result<Self, RunLogError> {
        let folder = state_dir.join("runs");
        let path = folder.join(format!("{run}.jsonl"));
        let fail = |source| RunLogError { path: path.clone(), source };
        create_synced(&folder).map_err(fail)?;
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path).map_err(fail)?;
        file.try_lock().map_err(|error| fail(error.into()))?;
        sync_folder(&folder).map_err(fail)?;
        Ok(Self { path, lines: Mutex::new(Lines { file, held_back: None }) })
    }

    /// Appends a line, and waits until it is on the disk.
    ///
    /// # Errors
    /// Where it cannot be written; whoever wanted to act on it must not.
    pub fn append_synced(&self, entry: &Entry) -> Result<(), RunLogError> {
        let text = self.text(entry)?;
        let mut lines = self.lines();
        lines
            .write_held_back()
            .and_then(|()| lines.file.write_all(text.as_bytes()))
            .map_err(|error| self.failed(error))?;
        lines.file.sync_data().map_err(|error| self.failed(error))
    }

    /// Appends a line that nobody waits for: not synced, and kept in memory while lines are held back.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn append(&self, entry: &Entry) -> Result<(), RunLogError> {
        let text = self.text(entry)?;
        let Lines { file, held_back } = &mut *self.lines();
        match held_back {
            Some(waiting) => waiting.push_back(text),
            None => file.write_all(text.as_bytes()).map_err(|error| self.failed(error))?,
        }
        Ok(())
    }

    /// Holds back further lines until the answer is dropped, or a synced one comes: a write waits for a journal, a full
    /// dirty limit or a server, and nobody whose writers or filesystems stand still must.
    pub fn hold_back(&self) -> HeldBack<'_> {
        self.lines().held_back.get_or_insert_default();
        HeldBack(self)
    }

    fn text(&self, entry: &Entry) -> Result<String, RunLogError> {
        serde_json::to_string(entry).map(|line| line + "\n").map_err(|error| self.failed(error.into()))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: io::Error) -> RunLogError {
        RunLogError { path: self.path.clone(), source }
    }
}

impl Lines {
    fn write_held_back(&mut self) -> io::Result<()> {
        let waiting: String = self.held_back.take().into_iter().flatten().collect();
        self.file.write_all(waiting.as_bytes())
    }
}

/// Lines are kept in memory for as long as this lives.
#[must_use = "dropping it writes the lines at once"]
#[derive(Debug)]
pub struct HeldBack<'l>(&'l RunLog);

impl Drop for HeldBack<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.lines().write_held_back() {
            tracing::warn!(path = %self.0.path.display(), %error, "outcomes of this run are not in its log");
        }
    }
}

/// Makes a folder and all above it, for the owner only, each durable in the one that it is in.
fn create_synced(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    create_synced(parent)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(parent),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::exit::Exit;
    use crate::failure::table::row;

    #[test]
    fn a_state_folder_that_cannot_be_used_fails_the_run_and_another_one_helps() {
        for kind in [io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::PermissionDenied, io::ErrorKind::StorageFull] {
            let cause =
                Cause::from(RunLogError { path: "/var/lib/stillpoint/runs/x.jsonl".into(), source: kind.into() });
            assert_eq!((cause.kind, row(cause.kind, false).exit), (Kind::RunLog, Exit::Failed));
            assert!(cause.hint().contains("--state-dir"), "{kind}: {}", cause.hint());
        }
    }
}
