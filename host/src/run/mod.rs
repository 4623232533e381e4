//! One execution of a backup: what it holds, the log that says so, and who is told what happens in it.
//!
//! A run knows steps and what they take. It does not know in which order a backup passes them.

pub mod claim;
pub mod entry;
pub mod event;
mod format1;
pub mod guardian;
pub mod held;
pub mod log;
mod path_text;
mod prune;
pub mod record;
pub mod steps;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use lvm::{RunId, RunIdError};

use self::entry::{Begun, Entry, FORMAT, Mark};
use self::event::{Event, Listeners};
use self::held::Held;
use self::log::{HeldBack, RunLog, RunLogError};
use crate::clock::{Clock, millis};
use crate::failure::exit::Exit;

/// A run that is under way.
#[derive(Debug)]
pub struct Run {
    id: RunId,
    clock: Clock,
    start: Instant,
    started_at: String,
    log: RunLog,
    listeners: Listeners,
    held: Mutex<Vec<Held>>,
}

impl Run {
    /// Begins a run, and its log below `state_dir`.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub fn begin(state_dir: &Path, vm: &str, clock: Clock, listeners: Listeners) -> Result<Self, RunLogError> {
        let id = new_id(&clock)
            .map_err(|error| RunLogError { path: state_dir.to_owned(), source: std::io::Error::other(error) })?;
        let (start, started_at) = (clock.now(), clock.utc());
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let begun = Begun {
            format: FORMAT,
            run: id.clone(),
            vm: vm.to_owned(),
            pid: std::process::id(),
            boot_id: boot_id.trim().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let first = Entry { at: started_at.clone(), elapsed_ms: 0, mark: Mark::Begun(begun) };
        let log = RunLog::create(state_dir, &id, &first)?;
        listeners.tell(&Event::Step(first));
        if let Err(error) = prune::prune(&log::folder(state_dir), SystemTime::now()) {
            tracing::debug!(%error, "old run logs are not removed");
        }
        Ok(Self { id, clock, start, started_at, log, listeners, held: Mutex::default() })
    }

    /// Which run.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Where its log is.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        self.log.path()
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

    /// Tells whoever listens.
    pub fn tell(&self, event: &Event) {
        self.listeners.tell(event);
    }

    /// Tells whoever listens something that a person should know.
    pub fn note(&self, text: impl Into<String>) {
        self.tell(&Event::Note { text: text.into() });
    }

    /// Until the answer is dropped, outcomes are told and not written: somebody stands still.
    pub fn hold_back(&self) -> HeldBack<'_> {
        self.log.hold_back()
    }

    /// Writes the last line of the log: the run is over, and what it took and did not give back is left.
    pub fn close(self, exit: Exit) {
        let left = self.held().iter().filter(|one| one.may_be_there()).cloned().collect();
        let entry = self.entry(Mark::Closed { exit: exit.code(), left });
        if let Err(error) = self.log.append_synced(&entry) {
            tracing::warn!(%error, "the end of this run is not in its log");
        }
        self.tell(&Event::Step(entry));
    }

    fn write_synced(&self, mark: Mark) -> Result<(), RunLogError> {
        let entry = self.entry(mark);
        self.log.append_synced(&entry)?;
        // Where it is not on the disk, nothing of it is taken.
        entry.mark.apply_to(&mut self.held());
        self.tell(&Event::Step(entry));
        Ok(())
    }

    /// That an outcome cannot be written is only warned of: the intent is there, and whoever recovers looks at what is.
    fn write(&self, mark: Mark) {
        let entry = self.entry(mark);
        entry.mark.apply_to(&mut self.held());
        self.tell(&Event::Step(entry.clone()));
        if let Err(error) = self.log.append(&entry) {
            tracing::warn!(%error, "an outcome of this run is not in its log");
        }
    }

    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, mark: Mark) -> Entry {
        Entry { at: self.clock.utc(), elapsed_ms: millis(self.start.elapsed()), mark }
    }
}

/// `20261121t195923z4f1a09c2d7e3`: the second of the start in UTC, and twelve random hex digits, so that no two runs of one
/// second, on hosts that share a volume group, take each other's volumes for their own.
fn new_id(clock: &Clock) -> Result<RunId, RunIdError> {
    // The first 12 hex digits of a version 4 UUID are all random.
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{}{random:.12}", clock.stamp()).parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Step;

    #[test]
    fn run_ids_differ_in_48_random_bits() {
        let clock = Clock::fixed(std::time::SystemTime::UNIX_EPOCH);
        let id = new_id(&clock).unwrap().to_string();
        assert_eq!((&id[..16], id.len()), ("19700101t000000z", 28));
        assert!(id[16..].chars().all(|digit| digit.is_ascii_hexdigit()), "{id}");
        assert_ne!(new_id(&clock), new_id(&clock));
    }
    /// What was not taken is not left, and nobody has to look for it.
    #[test]
    fn an_intent_that_cannot_be_written_takes_nothing() {
        let state_dir = tempfile::tempdir().unwrap();
        let run = Run::begin(state_dir.path(), "db1", Clock::system(), Listeners::default()).unwrap();
        let run = Run { log: RunLog::on_a_full_disk(), ..run };
        let frozen = Held::Frozen { agent: "unix:/run/qga".to_owned() };
        run.intend(Step::Freeze, vec![frozen]).unwrap_err();
        assert_eq!(*run.held(), []);
    }
}
