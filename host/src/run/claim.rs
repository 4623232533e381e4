//! One run a VM and an origin at a time: two of them would thaw each other's guest, and a second snapshot makes every write slower.
//!
//! A claim is locked files in the state folder, `vm-NAME.lock` and `origin-VG-LV.lock`. As with the run log, the lock is the kernel's
//! (flock(2)) and dies with its holder, whatever ended that; programs that are started do not inherit it. The files stay: of one that
//! is removed somebody may hold the lock. What is in one says who holds it, for people; the lock alone counts. Runs with other
//! state folders do not see each other here: what the survey finds on an origin is theirs.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use lvm::{LvName, RunId};

use super::log::{RunLogError, create_synced};
use crate::failure::{Cause, Kind};

/// What is read of a lock file: a line is much shorter.
const MAX_READ: u64 = 256;

/// Why a VM or an origin is not claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another run has it.
    #[error("another backup of {what} is under way{}", by(holder))]
    Taken {
        /// The VM or the origin.
        what: String,
        /// The other run and its process, as its lock file names them; empty where it does not.
        holder: String,
    },
    /// The lock file cannot be made or locked.
    #[error(transparent)]
    Unlocked(#[from] RunLogError),
}

fn by(holder: &str) -> String {
    if holder.is_empty() { String::new() } else { format!(": {holder}") }
}

impl From<ClaimError> for Cause {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Taken { .. } => Self::of(Kind::AlreadyRunning, None, error),
            ClaimError::Unlocked(error) => error.into(),
        }
    }
}

/// A VM and its origins, claimed by this process until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it lets the next run begin"]
pub struct Claim(Vec<File>);

impl Claim {
    /// Claims `vm`, where it has a name of its own, and each origin. All or nothing.
    ///
    /// # Errors
    /// [`ClaimError`].
    pub fn take(state_dir: &Path, vm: Option<&str>, origins: &[LvName]) -> Result<Self, ClaimError> {
        create_synced(state_dir).map_err(|source| RunLogError { path: state_dir.to_owned(), source })?;
        // In one order, so that of two runs one gets all.
        let mut origins: Vec<&LvName> = origins.iter().collect();
        origins.sort_unstable();
        let vm = vm.map(|vm| (format!("vm-{vm}.lock"), format!("the VM {vm}")));
        // With its dashes doubled, as in device-mapper, no name is another one's.
        let origins = origins.iter().map(|name| (format!("origin-{}.lock", name.dm_name()), name.to_string()));
        let mut claim = Self(Vec::new());
        for (file, what) in vm.into_iter().chain(origins) {
            claim.0.push(lock(&state_dir.join(file), what)?);
        }
        claim.say(&format_args!("pid {}", std::process::id()));
        Ok(claim)
    }

    /// Writes into the lock files which run this is.
    pub fn name(&self, run: &RunId) {
        self.say(&format_args!("run {run}, pid {}", std::process::id()));
    }

    fn say(&self, holder: &fmt::Arguments<'_>) {
        for file in &self.0 {
            let line = format!("{holder}\n");
            if let Err(error) = file.set_len(0).and_then(|()| file.write_all_at(line.as_bytes(), 0)) {
                tracing::debug!(%error, "a lock file does not name this run");
            }
        }
    }
}

/// A program that is just being started has a copy of every open file until it runs, and would keep a lock that is only closed.
impl Drop for Claim {
    fn drop(&mut self) {
        // Where that fails, it is let go with the last copy.
        self.0.iter().for_each(|file| drop(file.unlock()));
    }
}

fn lock(path: &Path, what: String) -> Result<File, ClaimError> {
    let fail = |source: io::Error| RunLogError { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let mut file = opened.map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ClaimError::Taken { what, holder: named(&mut file) }),
        Err(TryLockError::Error(error)) => Err(fail(error).into()),
    }
}

/// The line in a lock file, as far as it can be shown.
fn named(file: &mut File) -> String {
    let mut line = Vec::new();
    file.take(MAX_READ).read_to_end(&mut line).ok();
    String::from_utf8_lossy(&line).lines().next().unwrap_or_default().escape_debug().to_string()
}
