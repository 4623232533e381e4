//! The receipt: the JSON beside an artifact that says what it is, and every decision that made it so.

use fsprobe::Report;
use guest_bridge::database::engine_logs::EngineLogs;
use guest_bridge::database::server::{Coordinates, GaleraState, Replicates};
use serde::{Deserialize, Serialize};

use super::Document;
use super::plan::Plan;
use crate::grade::{Grade, Indication};

/// The version of the receipt. It changes when a name here changes its meaning or goes; names may be added.
pub const FORMAT: u32 = 2;

/// What one backup is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Receipt {
    /// The version of this form.
    pub format: u32,
    /// The version of this program.
    pub version: String,
    /// The run, as in the run log's name.
    pub run: String,
    /// The VM.
    pub vm: String,
    /// When the run began, RFC 3339.
    pub started_at: String,
    /// When the copy was whole, RFC 3339.
    pub ended_at: String,
    /// The grade that was proven.
    pub grade: Grade,
    /// Why it is not better.
    pub reasons: Vec<String>,
    /// The kind of each thing that was found wanting, of those that weigh less, too: for programs. Empty before 0.2.
    #[serde(default)]
    pub indications: Vec<Indication>,
    /// What a restore would lack, in a sentence. Not in receipts before 0.2.
    #[serde(default)]
    pub lost: Option<String>,
    /// The grade that was asked for.
    pub required: Grade,
    /// The window, the lock and the coordinates.
    pub window: Window,
    /// Which volume is which filesystem of the guest; not in receipts before 0.2.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// What the database's own log in the image says; not in receipts before 0.2.
    #[serde(default)]
    pub database: Option<DatabaseState>,
    /// Each disk; none where it is a dump.
    pub disks: Vec<Disk>,
    /// The dump, where there is one in place of images; not in receipts before 0.2.
    #[serde(default)]
    pub dump: Option<Dump>,
    /// What was planned.
    pub plan: Plan,
    /// Versions of the agent and the database.
    pub peers: Peers,
}

/// A dump of the database, made by its own client in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dump {
    /// Its file beside the receipt; `-` is standard output. SQL, in the same seekable zstd as an image.
    pub file: String,
    /// When it was decided that there is a dump.
    pub when: DumpReason,
    /// Why.
    pub why: String,
    /// What the client says of its version.
    pub client: String,
    /// Length of the SQL, in bytes: as the guest counted it, and as it arrived.
    pub raw_bytes: u64,
    /// Length of the file.
    pub stored_bytes: u64,
    /// blake3 of the SQL.
    pub raw_blake3: String,
    /// blake3 of the file.
    pub stored_blake3: String,
    /// From the client's start to its last byte.
    pub took_ms: u64,
    /// What it does not have.
    pub losses: Vec<String>,
    /// Statements that have to be run before it is loaded.
    pub before_loading: Vec<String>,
    /// Statements that have to be run after it was loaded.
    pub after_loading: Vec<String>,
}

/// When it was decided that there is a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DumpReason {
    /// A person asked for it.
    Asked,
    /// Beforehand: by the forecast a snapshot would not have lasted.
    Planned,
    /// While the snapshot was copied, which did not last, or would not have.
    DuringCopy,
}

/// What the window was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Window {
    /// When the last snapshot was attached, RFC 3339, UTC. Of a dump, when it was begun: it has all that was committed before.
    pub snapshot_at: String,
    /// Freeze to thaw, as the host saw it; `null` where nothing was frozen.
    pub window_ms: Option<u64>,
    /// How long the database's writers waited: lock to unlock, or the window, where commits went on; `null` where there is no database.
    pub stall_ms: Option<u64>,
    /// Where the binlog stood under the lock; where commits went on, where it ends in the image, and `null` where that is not proven.
    pub coordinates: Option<Coordinates>,
    /// From whom the server replicates, and how far it was under the lock: where a replica made of this backup begins is here, and
    /// not in its own coordinates. `null` where that is not known; not in receipts before 0.2.
    #[serde(default)]
    pub replicates: Option<Replicates>,
    /// Where the server's Galera node stood under the lock; `null` where it is none, and in receipts before 0.2.
    #[serde(default)]
    pub galera: Option<GaleraState>,
    /// Whether what was acknowledged before the lock was in the files; not in receipts before 0.2, nor where nothing was locked.
    #[serde(default)]
    pub engine_logs: Option<EngineLogs>,
    /// What became of the lock.
    pub lock: Lock,
    /// What became of the freeze.
    pub freeze: Freeze,
    /// What the watchdog in the guest had done when it was disarmed; `null` where there was none or it did not tell, and in receipts
    /// before 0.2.
    #[serde(default)]
    pub watchdog: Option<Watchdog>,
    /// What proves that each filesystem is thawed; empty where nothing was frozen, and in receipts before 0.2.
    #[serde(default)]
    pub thaw: Vec<Thawed>,
}

/// A filesystem that was to be thawed, and what proves that it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Thawed {
    /// Where the guest has it mounted; `null` where that is not known.
    pub mountpoint: Option<String>,
    /// `vg/lv`; `null` where it is on no disk that is known.
    pub disk: Option<String>,
    /// Its volume there, as `check` names it.
    pub volume: Option<String>,
    /// What proves it.
    pub proof: ThawProof,
}

/// What proves that a filesystem is thawed. That the agent says so does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ThawProof {
    /// Its disk shows it live again.
    SeenLive {
        /// From the agent's answer until it was seen.
        after_ms: u64,
    },
    /// The guest removed a marker from it after the thaw, which nothing can do to a frozen filesystem.
    Written,
    /// Nothing does.
    NotProven {
        /// Why.
        why: String,
    },
}

/// What a watchdog in the guest had done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Watchdog {
    /// Nothing: it was disarmed in time.
    InTime,
    /// It thawed the guest inside the window, or is gone with what it did.
    Broke,
}

/// What became of the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Lock {
    /// No database was configured.
    NotAsked,
    /// It was held until after the snapshot.
    HeldThrough,
    /// There was none that commits wait for: they went on.
    CommitsWentOn,
    /// It was lost before the snapshot was known to be there.
    Lost {
        /// What the check said.
        reason: String,
    },
}

/// What became of the freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Freeze {
    /// No freeze was asked for.
    NotAsked,
    /// The agent's own counts: claims.
    Counted {
        /// Filesystems that it says it froze.
        frozen: u32,
        /// Filesystems that it says it thawed; `null` where its reply was lost.
        thawed: Option<u32>,
    },
}

/// Which volume is which filesystem of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Identity {
    /// Nobody could look.
    Unknown {
        /// Why.
        why: String,
    },
    /// Each filesystem was looked for, by a marker that the guest wrote before the freeze.
    LookedFor {
        /// Each of them.
        filesystems: Vec<Filesystem>,
        /// From the writing of the markers to the freeze.
        marker_age_ms: Option<u64>,
    },
}

/// A filesystem of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Filesystem {
    /// Where the guest has it mounted.
    pub mountpoint: String,
    /// The kernel's name of its type.
    pub fs_type: String,
    /// What became of it.
    pub fate: Fate,
    /// What the database keeps on it: paths in the guest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<String>,
}

/// What became of a filesystem of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Fate {
    /// Its marker is whole on this volume.
    Found {
        /// `vg/lv`.
        disk: String,
        /// As `check` names it.
        volume: String,
    },
    /// Its marker is on no volume of the job.
    Missing,
    /// The same, on purpose: `ignore_mounts` names it.
    LeftOut,
    /// It has a marker, and may be on a volume that cannot be read or that was not frozen.
    Unseen {
        /// Which.
        why: String,
    },
    /// It took no marker.
    Refused {
        /// Why.
        why: String,
    },
    /// It was not looked for.
    Exempt {
        /// Why.
        why: String,
    },
}

/// What the database's own log in the image says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum DatabaseState {
    /// No database was locked.
    NotAsked,
    /// The binlog in the image ends at the coordinates.
    BinlogEndsAtCoordinates {
        /// Its path in the guest.
        path: String,
        /// Where its last event ends.
        end_bytes: u64,
        /// The GTIDs of its events, as the server writes them.
        gtid: Option<String>,
    },
    /// The redo log in the image ends where the server said that it stood.
    RedoEndsUnderLock {
        /// Its path in the guest.
        path: String,
        /// Its last log sequence number.
        end_lsn: u64,
    },
    /// Neither could be shown.
    NotProven {
        /// The kind.
        indication: Indication,
        /// Why.
        reason: String,
    },
}

/// One disk of a backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Disk {
    /// `vg/lv`.
    pub origin: String,
    /// File name of the artifact, beside the receipt; `-` for standard output.
    pub image: String,
    /// Length of the disk.
    pub raw_bytes: u64,
    /// Bytes of it that were read.
    pub allocated_bytes: u64,
    /// Length of the artifact.
    pub stored_bytes: u64,
    /// blake3 of the disk as `zstd -dc` gives it, in hex.
    pub raw_blake3: String,
    /// blake3 of the artifact file, in hex.
    pub stored_blake3: String,
    /// How long the copy took.
    pub copy_ms: u64,
    /// What the snapshot proved before the copy: layout and consistency, as `check --json` has it.
    pub evidence: Report,
    /// How the COW filled.
    pub cow: CowCurve,
}

/// How one COW filled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CowCurve {
    /// The origin.
    pub origin: String,
    /// Size of the COW.
    pub total_bytes: u64,
    /// The most that was in use.
    pub peak_bytes: u64,
    /// Milliseconds since the snapshot, and bytes in use then.
    pub points: Vec<(u64, u64)>,
}

/// Who took part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Peers {
    /// The guest agent's version.
    pub agent: Option<String>,
    /// The database server's version.
    pub database: Option<String>,
}

impl Document for Receipt {
    const WHAT: &'static str = "receipt";
    const FORMAT: u32 = FORMAT;
}
