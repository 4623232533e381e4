//! The receipt of a dump.

use std::time::Duration;

use guest_bridge::database::server::Coordinates;
use guest_bridge::dump::{self, CoordinatesFrom};
use image::copy::Streamed;

use super::dump_plan::Reason;
use super::plan::Plan;
use super::survey::Survey;
use crate::clock::millis;
use crate::documents::receipt::{self as document, FORMAT, Peers, Receipt};
use crate::grade::Grade;
use crate::run::Run;

/// A dump that was carried out whole.
pub(super) struct Made {
    /// When it was begun.
    pub(super) began_at: String,
    /// From its client's start to its last byte.
    pub(super) took: Duration,
    /// What the client says of its version.
    pub(super) client: String,
    /// Where the binlog stood at its snapshot.
    pub(super) coordinates: Option<Coordinates>,
    /// How long writers waited at most; `None` where nothing was locked.
    pub(super) stall: Option<Duration>,
    /// What was written.
    pub(super) streamed: Streamed,
}

/// The receipt of a dump, in `file`.
pub(super) fn receipt(
    run: &Run,
    survey: &Survey,
    plan: &Plan,
    reason: Reason,
    how: dump::DumpPlan,
    file: &str,
    made: Made,
) -> Receipt {
    let Made { began_at, took, client, coordinates, stall, streamed } = made;
    let (when, why) = match reason {
        Reason::Asked => (document::DumpReason::Asked, "a dump was asked for".to_owned()),
        Reason::Planned(why) => (document::DumpReason::Planned, why),
        Reason::DuringCopy(why) => (document::DumpReason::DuringCopy, why),
    };
    let locked = how.coordinates == CoordinatesFrom::OwnLock;
    let losses: Vec<String> = how.losses.iter().map(ToString::to_string).collect();
    Receipt {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run: run.id().to_string(),
        vm: plan.vm.clone(),
        started_at: run.started_at().to_owned(),
        ended_at: run.now(),
        grade: Grade::Logical,
        reasons: vec![format!("it is a dump: {why}")],
        indications: Vec::new(),
        lost: Some(lost(&losses)),
        required: plan.require,
        window: document::Window {
            snapshot_at: began_at,
            window_ms: None,
            stall_ms: stall.map(millis),
            coordinates,
            replicates: None,
            galera: None,
            engine_logs: None,
            lock: if locked { document::Lock::HeldThrough } else { document::Lock::NotAsked },
            freeze: document::Freeze::NotAsked,
            watchdog: None,
            thaw: Vec::new(),
        },
        identity: None,
        database: None,
        disks: Vec::new(),
        dump: Some(document::Dump {
            file: file.to_owned(),
            when,
            why,
            client,
            raw_bytes: streamed.raw_bytes,
            stored_bytes: streamed.stored_bytes,
            raw_blake3: streamed.raw_blake3.to_hex().to_string(),
            stored_blake3: streamed.stored_blake3.to_hex().to_string(),
            took_ms: millis(took),
            losses,
            before_loading: how.before_loading,
            after_loading: how.after_loading,
        }),
        plan: plan.document(),
        peers: Peers {
            agent: survey.guest.as_ref().map(|guest| guest.info.version.clone()),
            database: survey.server.as_ref().map(|server| server.version_text.clone()),
        },
    }
}

/// What a restore would lack.
fn lost(losses: &[String]) -> String {
    let mut lost = "everything of the VM but what its database has; what was committed after the dump's snapshot, unless the binlog brings it \
                    back"
        .to_owned();
    for loss in losses {
        lost.push_str("; ");
        lost.push_str(loss);
    }
    lost + "."
}
