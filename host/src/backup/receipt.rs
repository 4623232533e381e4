//! Puts a run's results together into its receipt.

use super::disk::{Copied, Disk};
use super::grading::Graded;
use super::plan::Plan;
use super::survey::Survey;
use super::window::{FreezeFacts, LockFacts, WindowReport};
use crate::clock::millis;
use crate::cow::watch::CowCurve;
use crate::documents::receipt::{self as document, FORMAT, Peers, Receipt};
use crate::run::Run;

/// The receipt of a backup that was made.
#[must_use]
pub fn receipt(
    run: &Run,
    survey: &Survey,
    plan: &Plan,
    graded: Graded,
    window: WindowReport,
    disks: &[Disk<Copied>],
) -> Receipt {
    Receipt {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run: run.id().to_string(),
        vm: plan.vm.clone(),
        started_at: run.started_at().to_owned(),
        ended_at: run.now(),
        grade: graded.grade,
        reasons: graded.reasons,
        required: plan.require,
        window: window.into(),
        disks: disks.iter().map(document::Disk::from).collect(),
        plan: plan.document(),
        peers: Peers {
            agent: survey.guest.as_ref().map(|guest| guest.info.version.clone()),
            database: survey.server.as_ref().map(|server| server.version_text.clone()),
        },
    }
}

impl From<WindowReport> for document::Window {
    fn from(window: WindowReport) -> Self {
        let lock = match window.lock {
            LockFacts::NotAsked => document::Lock::NotAsked,
            LockFacts::HeldThrough | LockFacts::EngineLogsNotFlushed { .. } => document::Lock::HeldThrough,
            LockFacts::Lost { reason } => document::Lock::Lost { reason },
        };
        let freeze = match window.freeze {
            FreezeFacts::NotAsked => document::Freeze::NotAsked,
            FreezeFacts::Counted { frozen, thawed } => document::Freeze::Counted { frozen, thawed },
        };
        let WindowReport { snapshot_at, window_ms, stall_ms, coordinates, engine_logs, .. } = window;
        Self { snapshot_at, window_ms, stall_ms, coordinates, engine_logs, lock, freeze }
    }
}

impl From<&Disk<Copied>> for document::Disk {
    fn from(disk: &Disk<Copied>) -> Self {
        let Copied { report, copy, cow } = &disk.stage;
        Self {
            origin: disk.origin().to_string(),
            image: disk.image.name(),
            raw_bytes: copy.raw_bytes,
            allocated_bytes: copy.allocated_bytes,
            stored_bytes: copy.stored_bytes,
            raw_blake3: copy.raw_blake3.to_hex().to_string(),
            stored_blake3: copy.stored_blake3.to_hex().to_string(),
            copy_ms: millis(copy.duration),
            evidence: report.clone(),
            cow: cow.into(),
        }
    }
}

impl From<&CowCurve> for document::CowCurve {
    fn from(curve: &CowCurve) -> Self {
        Self {
            origin: curve.origin.clone(),
            total_bytes: curve.total_bytes,
            peak_bytes: curve.peak_bytes,
            points: curve.points.clone(),
        }
    }
}
