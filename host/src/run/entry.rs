//! The lines of a run log: a contract, versioned, that a second process acts on. `docs/formats.md` describes it.

use fsprobe::Verdict;
use guest_bridge::database::engine_logs::EngineLogs;
use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::database::server::Coordinates;
use guest_bridge::watchdog::Disarmed;
use lvm::{LvName, RunId};
use serde::{Deserialize, Serialize};

use super::held::Held;
use crate::step::Step;

/// The version of the lines. It changes when a name in them changes its meaning or goes.
pub const FORMAT: u32 = 2;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entry {
    /// When, RFC 3339, UTC.
    pub at: String,
    /// Milliseconds since the run began, by a clock that nobody sets.
    pub elapsed_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub mark: Mark,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "mark", rename_all = "kebab-case")]
pub enum Mark {
    /// The first line: who runs.
    Begun(Begun),
    /// A step begins now; what it takes may be held from here on.
    Intent {
        /// The step.
        step: Step,
        /// What it is about to take.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        takes: Vec<Held>,
    },
    /// A step ended as it should.
    Done {
        /// The step.
        step: Step,
        /// What is not held any more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        frees: Vec<Held>,
        /// What came of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<Fact>,
    },
    /// A step ended otherwise; what it took may still be held.
    Failed {
        /// The step.
        step: Step,
        /// What is known not to be held, all the same.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        frees: Vec<Held>,
        /// Why.
        error: String,
    },
    /// The last line: the run is over, and knows what it leaves.
    Closed {
        /// The exit code that it asks for.
        exit: u8,
        /// What it could not give back.
        left: Vec<Held>,
    },
}

/// Who runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Begun {
    /// The version of the lines.
    pub format: u32,
    /// The run.
    pub run: RunId,
    /// The VM.
    pub vm: String,
    /// The process. Whether it is alive is told by its lock on the file, not by this.
    pub pid: u32,
    /// The boot of the host: after another one nothing of the run is alive.
    pub boot_id: String,
    /// The version of this program.
    pub version: String,
}

/// What came of a step, for logs, progress and people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// COW volumes were made.
    CowVolumes {
        /// Each of them.
        volumes: Vec<CowVolume>,
    },
    /// The guest wrote out its dirty pages.
    GuestSynced,
    /// The guest's filesystems have a marker each.
    Marked {
        /// How many.
        filesystems: u64,
    },
    /// A watchdog waits in the guest.
    Armed {
        /// How many filesystems it will thaw.
        filesystems: u64,
        /// After how long.
        after_ms: u64,
        /// It needs nothing of the guest's disks.
        in_memory: bool,
    },
    /// The tables are locked.
    Locked {
        /// By which statements.
        method: LockMethod,
        /// The server's id of the session.
        connection_id: u64,
        /// Where the binlog stands.
        coordinates: Option<Coordinates>,
        /// Whether what was acknowledged before is in the files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engine_logs: Option<EngineLogs>,
        /// How long it took, session and all.
        waited_ms: u64,
    },
    /// The guest is frozen.
    Frozen {
        /// Filesystems, as the agent counts them.
        filesystems: u64,
    },
    /// Every COW volume is a snapshot now.
    Attached {
        /// How many.
        disks: usize,
    },
    /// The guest is thawed.
    Thawed {
        /// Filesystems, as the agent counts them; `None` where the reply was lost.
        filesystems: Option<u64>,
        /// How often it was tried.
        attempts: u32,
        /// Freeze to thaw.
        window_ms: u64,
    },
    /// Whether the lock outlasted the snapshot.
    StillLocked {
        /// It did.
        held: bool,
    },
    /// The tables are free.
    Unlocked {
        /// How long the writers waited.
        stall_ms: u64,
    },
    /// The watchdog is gone.
    Disarmed {
        /// What it had done.
        did: Disarmed,
    },
    /// The markers are gone.
    Unmarked,
    /// What the snapshots prove.
    Evidence {
        /// Each disk's verdict.
        disks: Vec<DiskVerdict>,
    },
    /// The disks are copied.
    Copied {
        /// Each of them.
        disks: Vec<DiskCopied>,
    },
    /// The dump is carried out.
    Dumped {
        /// Length of its SQL.
        raw_bytes: u64,
        /// Length of its file.
        stored_bytes: u64,
    },
    /// The run's volumes are gone.
    Removed {
        /// Those that were there.
        volumes: Vec<LvName>,
    },
    /// The artifacts have their names.
    Published {
        /// File names, the receipt last.
        files: Vec<String>,
    },
    /// What a log of the first format says, in its words.
    #[cfg_attr(feature = "schema", schemars(skip))]
    Format1 {
        /// The detail of the line.
        detail: serde_json::Value,
    },
    /// What a newer program says there.
    #[cfg_attr(feature = "schema", schemars(skip))]
    #[serde(other)]
    Unknown,
}

/// A COW volume that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CowVolume {
    /// Its name.
    pub cow: LvName,
    /// What it is for.
    pub origin: LvName,
    /// Its size.
    pub size_bytes: u64,
}

/// What a snapshot proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiskVerdict {
    /// The origin.
    pub origin: LvName,
    /// The worst of its volumes.
    pub verdict: Verdict,
}

/// A disk that was copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiskCopied {
    /// The origin.
    pub origin: LvName,
    /// Length of the disk.
    pub raw_bytes: u64,
    /// Bytes of it that were read.
    pub allocated_bytes: u64,
    /// Length of the artifact.
    pub stored_bytes: u64,
    /// The most of its COW that was in use.
    pub cow_peak_bytes: u64,
}

impl Mark {
    /// What is held after this line, where `held` was before it; first taken first.
    pub fn apply_to(&self, held: &mut Vec<Held>) {
        match self {
            Self::Begun(_) => {}
            Self::Intent { takes, .. } => held.extend(takes.iter().cloned()),
            Self::Done { frees, .. } | Self::Failed { frees, .. } => held.retain(|one| !frees.contains(one)),
            Self::Closed { left, .. } => held.clone_from(left),
        }
    }
}
