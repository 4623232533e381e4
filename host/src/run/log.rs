//! The run log: what a run is about to take, and what became of it, on disk before it happens.
//!
//! One JSON object a line, appended and synced. A run that dies by any means leaves the line that says what it may still
//! hold. Tests and people read the order of a window from it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::{Clock, millis};
use crate::step::Step;
use lvm::{RunId, RunIdError};

/// A run log could not be written; nothing is taken without it.
#[derive(Debug, thiserror::Error)]
#[error("run log {path}: {source}")]
pub struct RunLogError {
    path: PathBuf,
    source: io::Error,
}

/// Where a line stands in the life of its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// The step begins now; what it takes may be held from here on.
    Intent,
    /// The step ended as it should.
    Done,
    /// The step ended otherwise; what it takes may still be held.
    Failed,
}

/// An open run log.
///
/// Writers are serialised; each line is on disk before whoever wrote it goes on.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    file: Mutex<File>,
    clock: Clock,
    start: Instant,
    started_at: String,
    run: RunId,
}

impl RunLog {
    /// Begins the log `STATE_DIR/runs/RUN.jsonl`, whose first line says who runs: process, boot and VM.
    ///
    /// # Errors
    /// Where the folder or the file cannot be made, or the log exists.
    pub fn create(state_dir: &Path, vm: &str, clock: Clock) -> Result<Self, RunLogError> {
        let run = new_run_id(&clock)
            .map_err(|error| RunLogError { path: state_dir.to_owned(), source: io::Error::other(error) })?;
        let folder = state_dir.join("runs");
        let path = folder.join(format!("{run}.jsonl"));
        let fail = |source| RunLogError { path: path.clone(), source };
        std::fs::create_dir_all(&folder).map_err(fail)?;
        let file = OpenOptions::new().append(true).create_new(true).open(&path).map_err(fail)?;
        File::open(&folder).and_then(|dir| dir.sync_all()).map_err(fail)?;
        let log = Self {
            path: path.clone(),
            file: Mutex::new(file),
            start: clock.now(),
            started_at: clock.utc(),
            clock,
            run,
        };
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        log.append_synced(json!({
            "step": "run", "mark": "intent", "run": log.run.to_string(), "vm": vm, "pid": std::process::id(),
            "boot_id": boot_id.trim(), "version": env!("CARGO_PKG_VERSION"),
        }))?;
        Ok(log)
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// When it began, RFC 3339, UTC.
    #[must_use]
    pub fn started_at(&self) -> &str {
        &self.started_at
    }

    /// Now, RFC 3339, UTC.
    #[must_use]
    pub fn now(&self) -> String {
        self.clock.utc()
    }

    /// Says that `step` begins, and what it is about to take.
    ///
    /// # Errors
    /// Where the line cannot be made durable: what takes something must not begin then.
    pub fn begin(&self, step: Step, takes: &Value) -> Result<(), RunLogError> {
        tracing::debug!(%step, %takes, "begin");
        self.append_synced(json!({ "step": step, "mark": Mark::Intent, "detail": takes }))
    }

    /// Says how `step` ended. That this cannot be written is only warned of, and it is not waited for until it is on disk:
    /// the intent is there, whoever recovers looks at what is, and a frozen guest waits for nothing of ours.
    pub fn end(&self, step: Step, outcome: Result<Value, String>) {
        let line = match outcome {
            Ok(detail) => json!({ "step": step, "mark": Mark::Done, "detail": detail }),
            Err(error) => json!({ "step": step, "mark": Mark::Failed, "error": error }),
        };
        if let Err(error) = self.append(line).map(drop) {
            tracing::warn!(%error, "the outcome of {step} is not in the run log");
        }
    }

    fn append_synced(&self, line: Value) -> Result<(), RunLogError> {
        self.append(line)?.sync_data().map_err(|source| self.failed(source))
    }

    fn append(&self, mut line: Value) -> Result<MutexGuard<'_, File>, RunLogError> {
        line["at"] = json!(self.clock.utc());
        line["elapsed_ms"] = json!(millis(self.start.elapsed()));
        let mut text = line.to_string();
        text.push('\n');
        let mut file = self.file.lock().map_err(|_| self.failed(io::Error::other("a writer of the log panicked")))?;
        file.write_all(text.as_bytes()).map_err(|source| self.failed(source))?;
        Ok(file)
    }

    fn failed(&self, source: io::Error) -> RunLogError {
        RunLogError { path: self.path.clone(), source }
    }
}

/// `20261121t195923z4f1a`: the second of the start in UTC, and four random hex digits.
fn new_run_id(clock: &Clock) -> Result<RunId, RunIdError> {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{}{}", clock.stamp(), &random[..4]).parse()
}
