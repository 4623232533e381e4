//! The transfer: every disk's snapshot into its artifact, under the watch of the COW.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use crate::blocking::blocking;
use serde_json::{Value, json};

use crate::backup::destination::Output;
use crate::backup::plan::Plan;
use crate::backup::snapshots::Source;
use crate::cow::gauge::CowGauge;
use crate::cow::watch::{CowCurve, Watched, watch};
use crate::failure::{Cause, Failure};
use crate::run::log::RunLog;
use crate::show::progress::Report;
use crate::step::Step;
use crate::stop::Stop;
use image::copy::{self, Copied, Options, Progress};

/// One disk, copied.
#[derive(Debug)]
pub struct Transferred {
    /// What the copy counted and hashed.
    pub copied: Copied,
    /// How its COW filled meanwhile.
    pub cow: CowCurve,
}

/// Copies all disks, one after the other, each on all cores.
///
/// # Errors
/// [`Cause::CowFull`] where a snapshot was lost, also when that shows only after the last byte; else the copy's own.
pub async fn copy_all(
    sources: &[Source<'_>],
    plan: &Plan,
    output: &mut Output,
    log: &RunLog,
    stop: &Stop,
) -> Result<Vec<Transferred>, Failure> {
    let takes = json!({ "images": output.names() });
    let copying = async { blocking(|| copy_watched(sources, plan, output, stop)) };
    let detail = |disks: &Vec<Transferred>| disks.iter().map(describe).collect::<Value>();
    log.take(Step::Copy, takes, copying, detail).await
}

fn copy_watched(
    sources: &[Source<'_>],
    plan: &Plan,
    output: &mut Output,
    stop: &Stop,
) -> Result<Vec<Transferred>, Cause> {
    let snapshots: Vec<_> = sources.iter().map(|source| source.snapshot).collect();
    let gauge = Arc::new(CowGauge::default());
    let mut done = Vec::new();
    for (index, (source, image)) in sources.iter().zip(output.images()).enumerate() {
        // Those that are copied already may fill up now: what was read of them was whole after its last byte.
        let needed = snapshots.get(index..).unwrap_or_default();
        let (copied, Watched { curves, full }) =
            watch(needed, stop, &gauge, |halt| copy_one(source, image, plan, &gauge, halt))?;
        // Asked first: of a lost snapshot the copy knows only that it could not read, or that it was halted.
        if let Some(full) = full {
            return Err(full.into());
        }
        stop.check()?;
        let cow = curves.into_iter().next().unwrap_or_default();
        done.push(Transferred { copied: copied?, cow });
    }
    Ok(done)
}

fn copy_one(
    source: &Source<'_>,
    image: &mut dyn std::io::Write,
    plan: &Plan,
    gauge: &Arc<CowGauge>,
    halt: &AtomicBool,
) -> Result<Copied, Cause> {
    let layout = fsprobe::layout(&source.device)?;
    let allocated = fsprobe::allocated(&source.device, &layout)?;
    let options = Options {
        level: plan.level,
        threads: thread::available_parallelism().map_or(1, NonZero::get),
        ..Options::default()
    };
    let progress = Arc::new(Progress::default());
    let _report = Report::start(&source.snapshot.volume.origin().to_string(), progress.clone(), gauge.clone());
    Ok(copy::copy(&source.device, &allocated, image, &options, &progress, halt)?)
}

fn describe(disk: &Transferred) -> Value {
    json!({
        "origin": disk.cow.origin, "raw_bytes": disk.copied.raw_bytes, "allocated_bytes": disk.copied.allocated_bytes,
        "stored_bytes": disk.copied.stored_bytes, "cow_peak_bytes": disk.cow.peak_bytes,
    })
}
