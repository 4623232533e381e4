//! Puts a run's results together into its receipt.

use std::path::PathBuf;

use guest_bridge::places::Place;

use super::Proof;
use super::database_state::{DatabaseState, ProvenBy};
use super::disk::{Copied, Disk};
use super::grading::Graded;
use super::identity::{Fate, Filesystem, Identity};
use super::lost::would_be_lost;
use super::plan::Plan;
use super::survey::Survey;
use super::thaw_proof::{ThawProof, Thawed};
use super::watchdog::WatchdogFacts;
use super::window::{FreezeFacts, LockFacts, WindowReport};
use crate::clock::millis;
use crate::cow::curve::CowCurve;
use crate::documents::receipt::{self as document, FORMAT, Peers, Receipt};
use crate::run::Run;

/// The receipt of a backup that was made.
#[must_use]
pub fn receipt(
    run: &Run,
    survey: &Survey,
    plan: &Plan,
    graded: Graded,
    proof: Proof,
    disks: &[Disk<Copied>],
) -> Receipt {
    Receipt {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run: run.id().to_string(),
        vm: plan.vm.clone(),
        started_at: run.started_at().to_owned(),
        ended_at: run.now(),
        lost: Some(would_be_lost(graded.grade, survey.server.as_ref(), &graded.indications)),
        grade: graded.grade,
        reasons: graded.reasons,
        indications: graded.indications,
        required: plan.require,
        window: window(proof.window, &proof.database, &proof.watchdog, &proof.thaw),
        identity: Some(proof.identity.into()),
        database: Some(proof.database.into()),
        disks: disks.iter().map(document::Disk::from).collect(),
        dump: None,
        plan: plan.document(),
        peers: Peers {
            agent: survey.guest.as_ref().map(|guest| guest.info.version.clone()),
            database: survey.server.as_ref().map(|server| server.version_text.clone()),
        },
    }
}

fn window(
    mut window: WindowReport,
    database: &DatabaseState,
    watchdog: &WatchdogFacts,
    thaw: &[Thawed],
) -> document::Window {
    // Older than the image, where commits went on.
    if window.went_on.is_some() {
        window.coordinates = database.coordinates();
    }
    let watchdog = match watchdog {
        WatchdogFacts::InTime => Some(document::Watchdog::InTime),
        WatchdogFacts::Broke(_) => Some(document::Watchdog::Broke),
        WatchdogFacts::None | WatchdogFacts::NotTold => None,
    };
    document::Window { watchdog, thaw: thaw.iter().map(document::Thawed::from).collect(), ..window.into() }
}

impl From<&Thawed> for document::Thawed {
    fn from(Thawed { mountpoint, on, proof }: &Thawed) -> Self {
        let proof = match proof {
            ThawProof::SeenLive { after } => document::ThawProof::SeenLive { after_ms: millis(*after) },
            ThawProof::Written => document::ThawProof::Written,
            ThawProof::NotProven { why } => document::ThawProof::NotProven { why: why.clone() },
        };
        Self {
            mountpoint: mountpoint.clone(),
            disk: on.as_ref().map(|on| on.origin.to_string()),
            volume: on.as_ref().map(|on| on.volume.clone()),
            proof,
        }
    }
}

impl From<WindowReport> for document::Window {
    fn from(window: WindowReport) -> Self {
        let lock = match window.lock {
            LockFacts::NotAsked => document::Lock::NotAsked,
            LockFacts::HeldThrough | LockFacts::EngineLogsNotFlushed { .. } => document::Lock::HeldThrough,
            LockFacts::CommitsWentOn { .. } => document::Lock::CommitsWentOn,
            LockFacts::Lost { reason } => document::Lock::Lost { reason },
        };
        let freeze = match window.freeze {
            FreezeFacts::NoAgent | FreezeFacts::NotAsked => document::Freeze::NotAsked,
            FreezeFacts::Counted { frozen, thawed } => document::Freeze::Counted { frozen, thawed },
        };
        let WindowReport { snapshot_at, window_ms, stall_ms, coordinates, replicates, galera, engine_logs, .. } =
            window;
        Self {
            snapshot_at,
            window_ms,
            stall_ms,
            coordinates,
            replicates,
            galera,
            engine_logs,
            lock,
            freeze,
            watchdog: None,
            thaw: Vec::new(),
        }
    }
}

impl From<Identity> for document::Identity {
    fn from(identity: Identity) -> Self {
        let looked = match identity {
            Identity::Unknown { why } => return Self::Unknown { why },
            Identity::LookedFor(looked) => looked,
        };
        let holds = |device| {
            let is_on = |place: &&Place| place.on.as_ref().is_ok_and(|on| on.device == device);
            looked.database.iter().filter(is_on).map(|place| place.path.display().to_string()).collect()
        };
        let filesystem = |Filesystem { mount, fate }: &Filesystem| document::Filesystem {
            mountpoint: mount.mountpoint.clone(),
            fs_type: mount.fs_type.clone(),
            fate: fate.into(),
            holds: holds(mount.device),
        };
        Self::LookedFor {
            filesystems: looked.filesystems.iter().map(filesystem).collect(),
            marker_age_ms: looked.marker_age.map(millis),
        }
    }
}

impl From<DatabaseState> for document::DatabaseState {
    fn from(state: DatabaseState) -> Self {
        let text = |path: PathBuf| path.display().to_string();
        match state {
            DatabaseState::NotAsked => Self::NotAsked,
            DatabaseState::Proven(ProvenBy::Binlog { path, end_bytes, gtid }) => {
                Self::BinlogEndsAtCoordinates { path: text(path), end_bytes, gtid }
            }
            DatabaseState::Proven(ProvenBy::Redo { path, end_lsn }) => {
                Self::RedoEndsUnderLock { path: text(path), end_lsn }
            }
            DatabaseState::NotProven { indication, reason } => Self::NotProven { indication, reason },
        }
    }
}

impl From<&Fate> for document::Fate {
    fn from(fate: &Fate) -> Self {
        match fate {
            Fate::Found(on) => Self::Found { disk: on.origin.to_string(), volume: on.volume.clone() },
            Fate::Missing => Self::Missing,
            Fate::LeftOut => Self::LeftOut,
            Fate::Unseen(why) => Self::Unseen { why: why.clone() },
            Fate::Refused(why) => Self::Refused { why: why.clone() },
            Fate::Exempt(why) => Self::Exempt { why: (*why).to_owned() },
        }
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
