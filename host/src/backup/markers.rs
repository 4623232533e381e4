//! Markers in the guest's filesystems, by which their volumes are known again: written just before the window, removed after it.

use std::path::PathBuf;
use std::time::Instant;

use guest_bridge::places::{self, DeviceNumber, FilePlace, Marked, MarkerName, Places, Unmarked};

use super::plan::{MarkerPlan, Plan};
use crate::failure::{At, Cause, Failure, Kind};
use crate::run::Run;
use crate::run::entry::Fact;
use crate::run::held::{Held, Means, release_in_drop};
use crate::step::Step;
use crate::stop::Stop;

/// The markers of a run. Dropping them removes them.
#[must_use = "dropping it removes the markers"]
pub struct Markers {
    written: Option<Written>,
    means: Means,
}

struct Written {
    plan: MarkerPlan,
    name: MarkerName,
    held: Held,
    at: Instant,
    marked: Result<Marked, String>,
}

/// What the guest said of its markers and files: claims, to be held against the snapshots.
#[derive(Clone, Debug)]
pub struct Told {
    /// The markers' name.
    pub name: MarkerName,
    /// Where they were written; or why not.
    pub marked: Result<Marked, String>,
    /// When the first of them may have been: when they were asked for.
    pub at: Instant,
    /// Where things lie after the window; or why nobody could look.
    pub places: Result<Places, String>,
    /// Where the files lie that were asked for; empty where that was not told.
    pub files: Vec<FilePlace>,
    /// The devices of the filesystems that a marker was removed from, after the thaw.
    pub removed: Vec<DeviceNumber>,
}

impl Markers {
    /// Writes them, where the plan says so. That it fails makes the backup no worse, only less proven.
    ///
    /// # Errors
    /// Where the run was asked to stop, the log cannot be written, or the guest is found frozen by someone else.
    pub async fn write(plan: &Plan, means: &Means, run: &Run, stop: &Stop) -> Result<Self, Failure> {
        let mut markers = Self { written: None, means: means.clone() };
        let Some(plan) = &plan.markers else { return Ok(markers) };
        let mut agent = means.agent().at(Step::Mark)?;
        let name = MarkerName::new();
        let held = Held::Markers { agent: plan.endpoint.clone(), name: name.clone() };
        let written = markers.written.insert(Written {
            plan: plan.clone(),
            name: name.clone(),
            held: held.clone(),
            at: Instant::now(),
            marked: Err("the guest was not asked".to_owned()),
        });
        let marking = places::mark(&mut agent, &name, plan.deadline);
        let fact = |marked: &Marked| Some(Fact::Marked { filesystems: marked.markers.len() as u64 });
        let marked = run.take(Step::Mark, vec![held], marking, fact).await;
        written.marked = match marked {
            Ok(marked) => Ok(marked),
            Err(failure) if failure.cause.kind == Kind::GuestFrozen => return Err(failure),
            Err(failure) => {
                run.note(format!("that the disks are the guest's cannot be proven: {failure}"));
                Err(format!("the guest could not be marked: {}", failure.cause))
            }
        };
        match stop.check().at(Step::Mark) {
            Ok(()) => Ok(markers),
            Err(stopped) => {
                markers.remove(&[], &[], run).await;
                Err(stopped)
            }
        }
    }

    /// Removes them, and asks in the same call where `files` lie. One that stays is said, and is no reason to fail: it is a small
    /// file that nobody reads. Then asks once more what `directories` lie on: a mount may have come over them since the survey.
    /// `None` where none were to be written.
    pub async fn remove(mut self, files: &[PathBuf], directories: &[PathBuf], run: &Run) -> Option<Told> {
        let Written { plan, name, held, at, marked } = self.written.take()?;
        let places = Err("the guest gave no answer after the window".to_owned());
        let mut told = Told { name: name.clone(), marked, at, places, files: Vec::new(), removed: Vec::new() };
        let remove = async || {
            let mut agent = self.means.agent()?;
            Ok::<_, Cause>(places::unmark(&mut agent, &name, files, plan.deadline).await?)
        };
        // What was in the way may have passed.
        let removed = match remove().await {
            Err(_) => remove().await,
            removed => removed,
        };
        match removed.at(Step::Unmark) {
            Ok(Unmarked { left, removed, files }) => {
                (told.files, told.removed) = (files, removed);
                if left.is_empty() {
                    run.done(Step::Unmark, vec![held], Some(Fact::Unmarked));
                } else {
                    let left: Vec<String> = left.iter().map(|(path, why)| format!("{path}: {why}")).collect();
                    run.note(format!("markers stay in the guest, to be removed by hand: {}", left.join("; ")));
                }
            }
            Err(failure) => {
                run.note(format!(
                    "markers named {name} may stay at the roots of the guest's filesystems, to be removed by hand: {failure}"
                ));
                run.failed(Step::Unmark, Vec::new(), &failure);
                // Whoever did not answer twice would only be waited for once more.
                return Some(told);
            }
        }
        let look = async || {
            let mut agent = self.means.agent()?;
            Ok::<_, Cause>(places::look(&mut agent, directories, plan.deadline).await?)
        };
        told.places = look().await.map_err(|cause| cause.to_string());
        Some(told)
    }
}

impl Drop for Markers {
    fn drop(&mut self) {
        if let Some(written) = &self.written {
            release_in_drop(std::slice::from_ref(&written.held), &self.means);
        }
    }
}
