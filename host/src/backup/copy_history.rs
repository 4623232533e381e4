//! Keeps how each COW filled and how long its copy took, for the next run's forecast.

use std::time::Duration;

use image::copy::Copied;
use lvm::LvName;

use super::plan::CopyPlan;
use crate::clock::millis;
use crate::cow::attached::Attached;
use crate::cow::full::CowFull;
use crate::cow::history::{History, Line};
use crate::cow::writes::WriteRate;
use crate::run::Run;

/// Where it is kept, and for whom.
pub(super) struct CopyHistory<'r> {
    history: &'r History,
    vm: &'r str,
    run: &'r Run,
}

impl<'r> CopyHistory<'r> {
    pub(super) fn of(plan: &'r CopyPlan, run: &'r Run) -> Self {
        Self { history: &plan.history, vm: &plan.vm, run }
    }

    /// A disk that was copied.
    pub(super) fn copied(&self, snapshot: &Attached, copy: &Copied, written: Option<WriteRate>) {
        let line = Line {
            copied_bytes: copy.allocated_bytes,
            copy_ms: Some(millis(copy.duration)),
            written_per_second: written.map(|rate| rate.per_second.0),
            ..self.line(snapshot)
        };
        self.keep(snapshot.volume.origin(), line);
    }

    /// Those whose copy did not come to its end. The one that was lost, as `full` says, is known to have needed all of its COW: no run says
    /// more of what the next one needs.
    pub(super) fn unfinished<'s>(&self, snapshots: impl IntoIterator<Item = &'s Attached>, full: Option<&CowFull>) {
        for snapshot in snapshots {
            let (origin, line) = (snapshot.volume.origin(), self.line(snapshot));
            let lost = full.filter(|full| full.origin == origin.to_string());
            match lost {
                Some(full) if full.is_doubtful() => {}
                Some(full) => self.keep(origin, line.lost(Duration::from_secs(full.after_s))),
                None if line.points.is_empty() => {}
                None => self.keep(origin, line),
            }
        }
    }

    fn line(&self, snapshot: &Attached) -> Line {
        Line::of_curve(&self.run.id().to_string(), self.vm, self.run.now(), &snapshot.curve())
    }

    fn keep(&self, origin: &LvName, line: Line) {
        if let Err(error) = self.history.add(origin, line) {
            tracing::warn!(%origin, %error, "how its COW filled is not kept: the next forecast will not know");
        }
    }
}
