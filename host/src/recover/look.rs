//! What a recovery would find, found out without giving anything back.

use std::io;
use std::path::{Path, PathBuf};

use super::one::is_alive_without_lock;
use super::{logs, this_boot};
use crate::run::held::Held;
use crate::run::record::RunRecord;

/// A run that is not alive, and may hold something.
#[derive(Debug)]
pub struct LeftRun {
    /// Its log.
    pub path: PathBuf,
    /// What it may hold; or why its log says nothing of that.
    pub held: Result<Vec<Held>, String>,
}

/// The runs below `state_dir` that died and may hold something, oldest first. Nothing is changed, and no log is taken over.
///
/// # Errors
/// Where the folder of logs cannot be listed. One that is not there holds nothing.
pub fn look(state_dir: &Path) -> io::Result<Vec<LeftRun>> {
    Ok(logs(state_dir)?.into_iter().filter_map(left).collect())
}

fn left(path: PathBuf) -> Option<LeftRun> {
    let read = || {
        if RunRecord::is_alive(&path).map_err(|error| error.to_string())? {
            return Ok(Vec::new());
        }
        let record = RunRecord::read(&path).map_err(|error| error.to_string())?;
        if is_alive_without_lock(&record, &this_boot()) {
            return Ok(Vec::new());
        }
        Ok(record.held().into_iter().filter(Held::may_be_there).collect())
    };
    match read() {
        Ok(held) if held.is_empty() => None,
        held => Some(LeftRun { path, held }),
    }
}
