//! The copy: every disk's snapshot into its artifact, under the watch of the COW.

use std::time::Duration;

use image::copy::{self, Options, Progress};

use super::copy_history::CopyHistory;
use super::disk::{Copied, Disk, Proven};
use super::hurry::{Hurry, Needed};
use super::plan::CopyPlan;
use super::snapshots::Snapshots;
use super::told::told;
use crate::blocking::blocking;
use crate::cow::attached::Attached;
use crate::cow::gauge::CowGauge;
use crate::cow::watch::{Watched, watch};
use crate::cow::writes::WriteCount;
use crate::failure::{Cause, Failure, Kind};
use crate::run::Run;
use crate::run::entry::{DiskCopied, Fact};
use crate::step::Step;
use crate::stop::Stop;

/// Copies all disks, one after the other, each on all its threads: whose COW would be full first, comes first. What is copied loses its
/// snapshot while others still wait: every write of the guest pays for it. They are given on in the order in which they came.
///
/// # Errors
/// That a COW was full where a snapshot was lost before its last byte was read; else the copy's own.
pub async fn copy_all(
    disks: Vec<Disk<Proven>>,
    plan: &CopyPlan,
    snapshots: &mut Snapshots,
    run: &Run,
    stop: &Stop,
) -> Result<Vec<Disk<Copied>>, Failure> {
    let copying = async { blocking(|| copy_watched(disks, plan, snapshots, run, stop)) };
    let fact = |disks: &Vec<Disk<Copied>>| Some(Fact::Copied { disks: disks.iter().map(describe).collect() });
    run.take(Step::Copy, Vec::new(), copying, fact).await
}

fn copy_watched(
    disks: Vec<Disk<Proven>>,
    copy_plan: &CopyPlan,
    snapshots: &mut Snapshots,
    run: &Run,
    stop: &Stop,
) -> Result<Vec<Disk<Copied>>, Cause> {
    let gauge = CowGauge::default();
    let options = Options { level: copy_plan.level, threads: copy_plan.threads, ..Options::default() };
    let history = CopyHistory::of(copy_plan, run);
    let mut waiting: Vec<_> = disks.into_iter().enumerate().collect();
    let mut done = Vec::new();
    while let Some((place, disk)) = next(&mut waiting) {
        let Disk { plan, mut image, stage: Proven { snapshot, device, layout, report } } = disk;
        let progress = Progress::default();
        let before = WriteCount::of(&plan.origin.device_path);
        // Those that are copied already may fill up now: what was read of them was whole after its last byte.
        let later: Vec<&Attached> = waiting.iter().map(|(_, disk)| &disk.stage.snapshot).collect();
        let now = Needed { snapshot: &snapshot, plan: &plan.cow };
        let mut hurry = Hurry::new(
            run,
            snapshots.lvm(),
            &progress,
            now,
            waiting.iter().map(needed).collect(),
            copy_plan.can_give_up,
        );
        let copying = || {
            watch(
                &snapshot,
                &later,
                stop,
                &gauge,
                || progress.source_is_read(),
                || hurry.look(),
                |halt| {
                    let allocated = fsprobe::allocated(&device, &layout)?;
                    Ok::<_, Cause>(copy::copy(&device, &allocated, &mut image, &options, &progress, halt)?)
                },
            )
        };
        let (copied, watched) = told(run, &plan.origin.name.to_string(), &progress, &gauge, copying);
        let Watched { full, unseen } = watched;
        // Asked first: of a lost snapshot the copy knows only that it could not read, or that it was halted.
        let given_up = hurry.given_up(copied.is_ok());
        if full.is_some() || given_up.is_some() {
            history.unfinished(std::iter::once(&snapshot).chain(later), full.as_ref());
        }
        // A guest that stands still comes before all else.
        match (full.map(Cause::from), given_up) {
            (_, Some(hangs)) if hangs.kind == Kind::OriginSuspended => return Err(hangs),
            (Some(cause), _) | (None, Some(cause)) => return Err(cause),
            (None, None) => {}
        }
        stop.check()?;
        let copy = match (copied, unseen) {
            (Ok(copy), None) => copy,
            (Ok(_), Some(unseen)) => return Err(unseen.into()),
            (Err(cause), unseen) => {
                if let Some(unseen) = unseen {
                    tracing::warn!(%unseen, "nor can be seen how full the COW is");
                }
                return Err(cause.on(&plan.origin.name));
            }
        };
        // It cannot go while it is open.
        drop(device);
        if !waiting.is_empty() {
            snapshots.remove_early(snapshot.volume.name(), run);
        }
        let written = before.and_then(|before| WriteCount::of(&plan.origin.device_path)?.since(&before));
        history.copied(&snapshot, &copy, written);
        done.push((place, Disk { plan, image, stage: Copied { report, copy, cow: snapshot.curve() } }));
    }
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, disk)| disk).collect())
}

/// Takes the disk whose COW would be full first; the first of those of which nobody can tell.
fn next(waiting: &mut Vec<(usize, Disk<Proven>)>) -> Option<(usize, Disk<Proven>)> {
    let full_in = |disk: &Disk<Proven>| {
        if let Err(error) = disk.stage.snapshot.look() {
            tracing::warn!(%error, "cannot see how full a COW is");
        }
        let seen = disk.stage.snapshot.full_in().unwrap_or(Duration::MAX);
        seen.min(disk.plan.cow.full_in().unwrap_or(Duration::MAX))
    };
    let at = match waiting.len() {
        0 => return None,
        1 => 0,
        _ => waiting.iter().enumerate().min_by_key(|(_, (_, disk))| full_in(disk))?.0,
    };
    Some(waiting.remove(at))
}

fn needed((_, disk): &(usize, Disk<Proven>)) -> Needed<'_> {
    Needed { snapshot: &disk.stage.snapshot, plan: &disk.plan.cow }
}

fn describe(disk: &Disk<Copied>) -> DiskCopied {
    let Copied { copy, cow, .. } = &disk.stage;
    DiskCopied {
        origin: disk.origin().clone(),
        raw_bytes: copy.raw_bytes,
        allocated_bytes: copy.allocated_bytes,
        stored_bytes: copy.stored_bytes,
        cow_peak_bytes: cow.peak_bytes,
    }
}
