//! Recovers one run.

use std::path::Path;
use std::time::Duration;

use guest_bridge::agent::SharedAgent;
use lvm::LvName;

use super::decide::{in_order, judged};
use super::{Found, Reach, State};
use crate::failure::Cause;
use crate::failure::exit::Exit;
use crate::run::entry::{Entry, FORMAT, Mark};
use crate::run::held::{Held, Means, Released};
use crate::run::log::RunLog;
use crate::run::record::RunRecord;
use crate::step::Step;

/// A guest whose host was started anew since was started anew itself: its agent is not waited for long.
const AFTER_A_REBOOT: Duration = Duration::from_secs(5);

/// Recovers the run of the log at `path`, unless it lives.
pub async fn recover(path: &Path, reach: &Reach<'_>) -> Found {
    match RunLog::take_over(path) {
        Ok(Some(log)) => recover_taken(path, &log, reach).await,
        Ok(None) => Found { path: path.to_owned(), run: None, state: State::Alive },
        Err(error) => Found { path: path.to_owned(), run: None, state: State::Unreadable(error.to_string()) },
    }
}

/// Waits, for as long as it takes, until the run of the log at `path` is not alive any more, and then recovers it. `ready` is called when it waits.
/// This is what a guardian does.
pub async fn recover_when_it_dies(path: &Path, ready: impl FnOnce(), reach: &Reach<'_>) -> Found {
    match RunLog::take_over_when_free(path, ready) {
        Ok(log) => recover_taken(path, &log, reach).await,
        Err(error) => Found { path: path.to_owned(), run: None, state: State::Unreadable(error.to_string()) },
    }
}

/// `log` is locked by us.
async fn recover_taken(path: &Path, log: &RunLog, reach: &Reach<'_>) -> Found {
    let found = |run, state| Found { path: path.to_owned(), run, state };
    // Read under the lock: what another recovery did is in it.
    let record = match RunRecord::read(path) {
        Ok(record) => record,
        Err(error) => return found(None, State::Unreadable(error.to_string())),
    };
    let run = Some((record.begun.run.clone(), record.begun.vm.clone()));
    let rebooted = record.begun.boot_id != reach.boot_id;
    if is_alive_without_lock(&record, &reach.boot_id) {
        return found(run, State::Alive);
    }
    let held: Vec<Held> = record.held().into_iter().filter(Held::may_be_there).collect();
    if held.is_empty() {
        close(path, log, &record, reach, Vec::new());
        return found(run, State::Nothing);
    }
    tracing::warn!(run = %record.begun.run, vm = record.begun.vm, "recovering a run that died");
    let mut origins = resume_origins(&held, reach);
    let means = means(&held, record.origins(), reach, rebooted);
    let (mut freed, mut by_itself, mut waits, mut left) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for one in in_order(held) {
        let released = match origins.resume_again(&one, reach) {
            Ok(()) => release(&one, &means, rebooted).await,
            Err(why) => Err(why),
        };
        match released {
            Ok(Released::ByItself(within)) => by_itself.push((one.clone(), within)),
            Ok(Released::Gone | Released::Thawed(_)) => freed.push(one.clone()),
            Ok(Released::VmGone(gone)) => {
                let gone = Cause::from(gone);
                tracing::warn!("{gone}; {}", gone.hint());
                freed.push(one.clone());
            }
            Ok(Released::WaitsForVm(nobody)) => {
                tracing::debug!(%one, %nobody, "left until the VM runs again");
                waits.push(one);
                continue;
            }
            Err(why) => {
                left.push((one, why));
                continue;
            }
        }
        write(log, reach, &record, Mark::Done { step: Step::Recover, frees: vec![one], detail: None });
    }
    // Its tables are those of an attach that was cut off, until they are made anew without its snapshot.
    for origin in origins.resumed {
        if let Err(error) = reach.lvm.refresh(&origin) {
            tracing::error!(%origin, %error, "`lvchange --refresh` makes its tables what its metadata says");
        }
    }
    close(path, log, &record, reach, left.iter().map(|(held, _)| held).chain(&waits).cloned().collect());
    found(run, State::Dead { freed, by_itself, waits, left })
}

/// Runs of the first format did not lock their log.
pub(super) fn is_alive_without_lock(record: &RunRecord, boot_id: &str) -> bool {
    record.begun.format != FORMAT && record.begun.boot_id == boot_id && is_stillpoint(record.begun.pid)
}

fn is_stillpoint(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "stillpoint")
}

/// Origins that LVM may have been killed at.
#[derive(Default)]
struct Origins {
    resumed: Vec<LvName>,
    /// Those of which it is not known.
    unknown: Vec<LvName>,
}

/// An origin that LVM was killed at hangs, and its guest's thaw with it.
fn resume_origins(held: &[Held], reach: &Reach<'_>) -> Origins {
    let mut origins = Origins::default();
    for one in held {
        if let Held::Cow { origin, .. } = one {
            match reach.lvm.resume(origin) {
                Ok(true) => {
                    tracing::warn!(%origin, "resumed: it had been left suspended");
                    origins.resumed.push(origin.clone());
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%origin, %error, "whether it is suspended is not known");
                    origins.unknown.push(origin.clone());
                }
            }
        }
    }
    origins
}

impl Origins {
    /// Tries once more before a volume goes, where its origin may still be suspended: without the volume in the log, nobody would look
    /// at that origin again.
    fn resume_again(&mut self, one: &Held, reach: &Reach<'_>) -> Result<(), Cause> {
        let Held::Cow { origin, .. } = one else { return Ok(()) };
        if self.unknown.contains(origin) && reach.lvm.resume(origin)? {
            self.resumed.push(origin.clone());
        }
        Ok(())
    }
}

fn means(held: &[Held], origins: Vec<LvName>, reach: &Reach<'_>, rebooted: bool) -> Means {
    let endpoint = held.iter().find_map(|one| match one {
        Held::Frozen { agent }
        | Held::Markers { agent, .. }
        | Held::Watchdog { agent, .. }
        | Held::Dump { agent, .. } => Some(agent),
        Held::Lock { session: Some(session), .. } => Some(&session.agent),
        _ => None,
    });
    let agent: Option<SharedAgent> = endpoint.and_then(|endpoint| (reach.agent)(endpoint).ok());
    let bound = |deadline: Duration| if rebooted { deadline.min(AFTER_A_REBOOT) } else { deadline };
    Means {
        lvm: reach.lvm.clone(),
        agent,
        origins,
        thaw_deadline: bound(reach.thaw_deadline),
        unmark_deadline: bound(reach.unmark_deadline),
    }
}

/// Releases it, with a second try: what was in the way may have passed.
async fn release(one: &Held, means: &Means, rebooted: bool) -> Result<Released, Cause> {
    let released = match one.release(means).await {
        Err(first) if !rebooted => {
            tracing::warn!("{first}; trying once more");
            one.release(means).await
        }
        released => released,
    };
    judged(one, released, rebooted)
}

fn close(path: &Path, log: &RunLog, record: &RunRecord, reach: &Reach<'_>, left: Vec<Held>) {
    let exit = if left.is_empty() { Exit::Failed } else { Exit::NeedsPerson };
    if record.begun.format != FORMAT && left.is_empty() {
        // It is not read again.
        let done = path.with_extension("jsonl.recovered");
        if let Err(error) = std::fs::rename(path, done) {
            tracing::warn!(path = %path.display(), %error, "the log of a run that was recovered stays");
        }
        return;
    }
    let says_so = record.is_closed() && record.held() == left;
    if !says_so {
        write(log, reach, record, Mark::Closed { exit: exit.code(), left });
    }
}

fn write(log: &RunLog, reach: &Reach<'_>, record: &RunRecord, mark: Mark) {
    // Lines of another format cannot stand in one log.
    if record.begun.format != FORMAT {
        return;
    }
    let elapsed_ms = record.entries.last().map_or(0, |last| last.elapsed_ms);
    if let Err(error) = log.append_synced(&Entry { at: reach.clock.utc(), elapsed_ms, mark }) {
        // The next recovery does it again, which is as well.
        tracing::warn!(%error, "what was recovered is not in the run's log");
    }
}
