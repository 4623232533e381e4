//! The run log on disk: one [`Entry`] a line, appended.
//!
//! An intent is synced before anybody acts on it, so that a run that dies by any means leaves the line that says what it may
//! still hold. The file is locked for as long as the run lives: whether it does is then no question of process numbers.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lvm::RunId;

use super::entry::Entry;
use super::record::MAX_BYTES;
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
        let first = match error.source.kind() {
            io::ErrorKind::PermissionDenied => "run it as root; ",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some room there; ",
            _ => "",
        };
        let hint = format!("{first}`--state-dir` (or `state_dir` in the configuration) names another folder");
        Self::of(Kind::RunLog, Some(hint), error)
    }
}

/// Where the logs of all runs are.
pub(crate) fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("runs")
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
    /// Length of the whole lines in it. What is behind them is half a line, of a write that failed.
    whole_bytes: u64,
    /// Lines that are not in it yet: held back, or refused by its disk.
    waiting: String,
    /// Somebody must not be kept waiting by a disk.
    holds_back: bool,
}

impl RunLog {
    /// Makes the log `STATE_DIR/runs/RUN.jsonl`, readable by its owner only, with its first line. It has that name only when
    /// it is locked and the line is on the disk: whoever finds a log finds who writes it, and whether it lives.
    ///
    /// # Errors
    /// Where the folder or the file cannot be made, or the log exists.
    pub fn create(state_dir: &Path, run: &RunId, first: &Entry) -> Result<Self, RunLogError> {
        let folder = folder(state_dir);
        let path = folder.join(format!("{run}.jsonl"));
        let fail = |source| RunLogError { path: path.clone(), source };
        create_synced(&folder).map_err(fail)?;
        let new = folder.join(format!(".{run}.new"));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&new).map_err(fail)?;
        let lines = Lines { file, whole_bytes: 0, waiting: String::new(), holds_back: false };
        let log = Self { path: path.clone(), lines: Mutex::new(lines) };
        let named = || {
            log.lines().file.try_lock()?;
            log.append_synced(first).map_err(|error| error.source)?;
            // Nobody else has this run's id: nothing is raced for.
            if fs::symlink_metadata(&path).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(&new, &path)?;
            sync_folder(&folder)
        };
        if let Err(source) = named() {
            // Where it is gone or cannot be removed, it says that nothing is held.
            drop(fs::remove_file(&new));
            return Err(fail(source));
        }
        Ok(log)
    }

    /// Takes over the log of a run that is not alive any more; `None` where it is. What is behind the last whole line is dropped
    /// with the next line.
    ///
    /// # Errors
    /// Where it cannot be opened or locked.
    pub fn take_over(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Self::locked(path, file).map(Some),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The same, and waits for the end of the run. `ready` is called when all but the waiting is done.
    ///
    /// # Errors
    /// Where it cannot be opened or locked.
    pub fn take_over_when_free(path: &Path, ready: impl FnOnce()) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        ready();
        file.lock()?;
        Self::locked(path, file)
    }

    fn locked(path: &Path, mut file: File) -> io::Result<Self> {
        let mut text = Vec::new();
        (&mut file).take(MAX_BYTES).read_to_end(&mut text)?;
        let whole_bytes = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end as u64 + 1);
        let lines = Lines { file, whole_bytes, waiting: String::new(), holds_back: false };
        Ok(Self { path: path.to_owned(), lines: Mutex::new(lines) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line, and waits until it is on the disk, and all before it.
    ///
    /// # Errors
    /// Where it cannot be written; whoever wanted to act on it must not, and it is not written later.
    pub fn append_synced(&self, entry: &Entry) -> Result<(), RunLogError> {
        let text = self.text(entry)?;
        let mut lines = self.lines();
        let before = lines.waiting.len();
        lines.waiting.push_str(&text);
        if let Err(error) = lines.write() {
            lines.waiting.truncate(before);
            return Err(self.failed(error));
        }
        lines.file.sync_data().map_err(|error| self.failed(error))
    }

    /// Appends a line that nobody waits for: not synced, and kept in memory while lines are held back.
    ///
    /// # Errors
    /// Where it cannot be written now. The next line takes it along.
    pub fn append(&self, entry: &Entry) -> Result<(), RunLogError> {
        let text = self.text(entry)?;
        let mut lines = self.lines();
        lines.waiting.push_str(&text);
        if lines.holds_back { Ok(()) } else { lines.write().map_err(|error| self.failed(error)) }
    }

    /// Holds back further lines until the answer is dropped; one that is synced takes along those before it. A write waits
    /// for a journal, a full dirty limit or a server, and nobody whose writers or filesystems stand still must.
    pub fn hold_back(&self) -> HeldBack<'_> {
        self.lines().holds_back = true;
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
    /// Writes what waits, all or nothing of it.
    fn write(&mut self) -> io::Result<()> {
        // A line behind half a one could not be read, nor could any log with such a line.
        if self.file.metadata()?.len() > self.whole_bytes {
            self.file.set_len(self.whole_bytes)?;
        }
        self.file.write_all(self.waiting.as_bytes())?;
        self.whole_bytes += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// A program that is just being started has a copy of every open file until it runs, and would keep a lock that is only closed.
impl Drop for Lines {
    fn drop(&mut self) {
        // Where that fails, it is let go with the last copy.
        drop(self.file.unlock());
    }
}

/// Lines are kept in memory for as long as this lives.
#[must_use = "dropping it writes the lines at once"]
#[derive(Debug)]
pub struct HeldBack<'l>(&'l RunLog);

impl Drop for HeldBack<'_> {
    fn drop(&mut self) {
        let mut lines = self.0.lines();
        lines.holds_back = false;
        if let Err(error) = lines.write() {
            tracing::warn!(path = %self.0.path.display(), %error, "outcomes of this run are not in its log");
        }
    }
}

/// Makes a folder and all above it, for the owner only, each durable in the one that it is in.
pub(super) fn create_synced(folder: &Path) -> io::Result<()> {
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
    use crate::run::entry::Mark;
    use crate::step::Step;

    /// What a run says that cannot write its log for this reason.
    fn told(source: io::Error) -> Cause {
        let cause = Cause::from(RunLogError { path: "/var/lib/stillpoint/runs/x.jsonl".into(), source });
        assert_eq!((cause.kind, row(cause.kind, false).exit), (Kind::RunLog, Exit::Failed));
        cause
    }

    const ANOTHER: &str = "`--state-dir` (or `state_dir` in the configuration) names another folder";

    #[test]
    fn a_state_folder_that_cannot_be_used_fails_the_run_and_another_one_helps() {
        for (kind, hint) in [
            (io::ErrorKind::ReadOnlyFilesystem, ANOTHER.to_owned()),
            (io::ErrorKind::PermissionDenied, format!("run it as root; {ANOTHER}")),
            (io::ErrorKind::StorageFull, format!("free some room there; {ANOTHER}")),
        ] {
            assert_eq!(told(kind.into()).hint(), hint);
        }
    }

    #[test]
    fn a_state_folder_that_cannot_be_made_names_its_log_and_another_one_helps() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // Below a file, and where nobody may make a folder, root neither.
        for state_dir in [file.path().join("state"), "/proc/self/state".into()] {
            let first = entry(Mark::Intent { step: Step::CowVolumes, takes: Vec::new() });
            let error = RunLog::create(&state_dir, &"r1".parse().unwrap(), &first).unwrap_err();
            assert_eq!(error.path, state_dir.join("runs/r1.jsonl"));
            assert!(told(error.source).hint().ends_with(ANOTHER));
        }
    }

    impl RunLog {
        pub(in crate::run) fn on_a_full_disk() -> Self {
            let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
            let lines = Lines { file, whole_bytes: 0, waiting: String::new(), holds_back: false };
            Self { path: "/dev/full".into(), lines: Mutex::new(lines) }
        }
    }

    fn entry(mark: Mark) -> Entry {
        Entry { at: String::new(), elapsed_ms: 0, mark }
    }

    #[test]
    fn a_full_disk_refuses_an_intent_for_good_and_gets_outcomes_when_it_has_room_again() {
        let mut log = RunLog::on_a_full_disk();
        let done = |step| entry(Mark::Done { step, frees: Vec::new(), detail: None });
        let intent = entry(Mark::Intent { step: Step::CowVolumes, takes: Vec::new() });
        assert_eq!(log.append(&done(Step::Output)).unwrap_err().source.kind(), io::ErrorKind::StorageFull);
        assert_eq!(log.append_synced(&intent).unwrap_err().source.kind(), io::ErrorKind::StorageFull);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        log.lines.get_mut().unwrap().file = File::create(&path).unwrap();
        log.append(&done(Step::Remove)).unwrap();
        let text = fs::read_to_string(path).unwrap();
        let written: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(written, [done(Step::Output), done(Step::Remove)]);
    }
}
