//! The copy: every disk's snapshot into its artifact, under the watch of the COW.

use std::collections::VecDeque;

use image::copy::{self, Options, Progress};

use super::disk::{Copied, Disk, Proven};
use super::plan::CopyPlan;
use super::snapshots::Snapshots;
use super::told::told;
use crate::blocking::blocking;
use crate::cow::attached::Attached;
use crate::cow::gauge::CowGauge;
use crate::cow::watch::{Watched, watch};
use crate::failure::{Cause, Failure};
use crate::run::Run;
use crate::run::entry::{DiskCopied, Fact};
use crate::step::Step;
use crate::stop::Stop;

/// Copies all disks, one after the other, each on all its threads. What is copied loses its snapshot while others still wait: every
/// write of the guest pays for it.
///
/// # Errors
/// That a COW was full where a snapshot was lost before its last byte was read; else the copy's own.
pub async fn copy_all(
    disks: Vec<Disk<Proven>>,
    plan: CopyPlan,
    snapshots: &mut Snapshots,
    run: &Run,
    stop: &Stop,
) -> Result<Vec<Disk<Copied>>, Failure> {
    let copying = async { blocking(|| copy_watched(disks.into(), plan, snapshots, run, stop)) };
    let fact = |disks: &Vec<Disk<Copied>>| Some(Fact::Copied { disks: disks.iter().map(describe).collect() });
    run.take(Step::Copy, Vec::new(), copying, fact).await
}

fn copy_watched(
    mut waiting: VecDeque<Disk<Proven>>,
    plan: CopyPlan,
    snapshots: &mut Snapshots,
    run: &Run,
    stop: &Stop,
) -> Result<Vec<Disk<Copied>>, Cause> {
    let gauge = CowGauge::default();
    let options = Options { level: plan.level, threads: plan.threads, ..Options::default() };
    let mut done = Vec::new();
    while let Some(Disk { plan, mut image, stage: Proven { snapshot, device, layout, report } }) = waiting.pop_front() {
        let progress = Progress::default();
        // Those that are copied already may fill up now: what was read of them was whole after its last byte.
        let later: Vec<&Attached> = waiting.iter().map(|disk| &disk.stage.snapshot).collect();
        let copying = || {
            watch(
                &snapshot,
                &later,
                stop,
                &gauge,
                || progress.source_is_read(),
                |halt| {
                    let allocated = fsprobe::allocated(&device, &layout)?;
                    Ok::<_, Cause>(copy::copy(&device, &allocated, &mut image, &options, &progress, halt)?)
                },
            )
        };
        let (copied, watched) = told(run, &plan.origin.name.to_string(), &progress, &gauge, copying);
        let Watched { curve, full, unseen } = watched;
        // Asked first: of a lost snapshot the copy knows only that it could not read, or that it was halted.
        if let Some(full) = full {
            return Err(full.into());
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
        done.push(Disk { plan, image, stage: Copied { report, copy, cow: curve } });
    }
    Ok(done)
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
