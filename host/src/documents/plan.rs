//! What a backup is going to do: `stillpoint plan --json`, and a part of every receipt.

use guest_bridge::database::lock_method::LockMethod;
use guest_bridge::database::server::Server;
use serde::{Deserialize, Serialize};

use super::{Document, first_format};
use crate::grade::Grade;

/// The version of the plan, of its own and of that in a receipt.
pub const FORMAT: u32 = 2;

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// The version of this form. Before 0.2 it was not said.
    #[serde(default = "first_format")]
    pub format: u32,
    /// The VM.
    pub vm: String,
    /// Each disk, in the order in which it is attached and copied.
    pub disks: Vec<Disk>,
    /// The window.
    pub window: Window,
    /// Whether the guest is asked to write out its dirty pages first.
    pub guest_sync: bool,
    /// After how long a watchdog in the guest thaws it, should everything else be gone; `null` where there is none, and before 0.2.
    #[serde(default)]
    pub watchdog_after_ms: Option<u64>,
    /// The dump of the database; `null` where there is none in any case, and before 0.2.
    #[serde(default)]
    pub dump: Option<Dump>,
    /// Each filesystem that the guest has mounted from a block device. Empty where nobody could look, and before 0.2.
    #[serde(default)]
    pub filesystems: Vec<Filesystem>,
    /// What a restore would lack, by the grade that is reached. Empty before 0.2.
    #[serde(default)]
    pub lost: Vec<Lost>,
    /// The weakest grade that counts as success.
    pub require: Grade,
    /// zstd level of the artifact.
    pub level: i32,
    /// Every deadline and choice, with where it came from. Empty in receipts before 0.2.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// What an admin should know before.
    pub notes: Vec<String>,
}

/// A dump of the database, made by its own client in the guest and streamed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PlannedDump"))]
pub struct Dump {
    /// When it is made.
    pub when: DumpWhen,
    /// Why in place of the image, where nobody asked for that.
    pub why: Option<String>,
}

/// When a dump is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DumpWhen {
    /// In place of the image: a person asked for it.
    Asked,
    /// In place of the image, which would not last.
    Instead,
    /// In place of the image, should that turn out not to last while it is copied.
    IfNeeded,
}

/// One disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PlannedDisk"))]
pub struct Disk {
    /// `vg/lv`.
    pub origin: String,
    /// Size of the origin, in bytes.
    pub size: u64,
    /// Size of its COW volume, in bytes.
    pub cow: u64,
    /// Why that size.
    pub cow_reason: String,
    /// Whether it will last; `null` before 0.2.
    #[serde(default)]
    pub cow_verdict: Option<CowVerdict>,
    /// What the COW will need; `null` where nothing is known of the disk's writes, and before 0.2.
    #[serde(default)]
    pub forecast: Option<Forecast>,
    /// What lies on it: volume path and kind.
    pub volumes: Vec<String>,
}

/// Whether a COW will last until its disk is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CowVerdict {
    /// It has room for every chunk of the origin.
    CannotFill,
    /// It has room for the need, with its margin.
    Lasts,
    /// It has room for what is expected, and not for the margin.
    Tight,
    /// It has not even room for what is expected.
    WillNotLast,
    /// Nothing is known of what is written to the disk.
    NotKnown,
}

/// What a COW will need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Forecast {
    /// What it is known from.
    pub basis: Basis,
    /// What there is to copy of the disk, in bytes.
    pub to_copy: u64,
    /// How fast, in bytes a second.
    pub copy_per_second: u64,
    /// Whether that is what earlier copies did; else it is what disk and processors are thought to do.
    pub copy_speed_is_known: bool,
    /// How long the snapshot is needed: until its disk is copied, and those before it.
    pub lasts_ms: u64,
    /// The same with a margin.
    pub lasts_at_most_ms: u64,
    /// What is expected to be in use of the COW by then, in bytes.
    pub expected: u64,
    /// The same with a margin: enough in 99 of 100 runs.
    pub need: u64,
    /// What the group has free for the COW volumes of all disks, in bytes.
    pub room: u64,
}

/// What a forecast is known from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Basis {
    /// How the COWs of earlier runs filled.
    EarlierRuns {
        /// How many.
        runs: u64,
        /// What is written to the disk now, in hundredths of the most in any of them; 100 where it is no more.
        busier_percent: u64,
    },
    /// What was written to the disk just now: an upper bound, for what is written again is counted again.
    Measured {
        /// Bytes a second.
        written_per_second: u64,
        /// For how long was looked.
        over_ms: u64,
    },
}

/// A filesystem of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PlannedFilesystem"))]
pub struct Filesystem {
    /// Where the guest has it mounted.
    pub mountpoint: String,
    /// The kernel's name of its type.
    pub fs_type: String,
    /// Where it seems to be, by its UUID: no proof.
    pub seems: Seems,
    /// Why it is not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What the database keeps on it: paths in the guest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<String>,
}

/// Where a filesystem of the guest seems to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Seems {
    /// On this volume.
    On {
        /// `vg/lv`.
        disk: String,
        /// As `check` names it.
        volume: String,
    },
    /// On no disk of the job.
    NotHere,
    /// It cannot be told from others.
    Unknown,
    /// On no disk of the job, on purpose.
    LeftOut,
    /// It is not looked for.
    Exempt,
}

/// What a restore of a backup of this grade would lack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lost {
    /// The grade.
    pub grade: Grade,
    /// In a sentence.
    pub lost: String,
}

/// What happens while the guest stands still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PlannedWindow"))]
pub struct Window {
    /// From the sending of the freeze until all snapshots are there, at most; then the guest is thawed, whatever there is. Not in
    /// plans before 0.2.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    /// The database's lock; `null` where no database is configured.
    pub lock: Option<Lock>,
    /// The freeze; `null` where none is asked for.
    pub freeze: Option<Freeze>,
}

/// The database's lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PlannedLock"))]
pub struct Lock {
    /// The server that was found.
    pub server: Server,
    /// The lock that fits it.
    pub method: LockMethod,
    /// Why that one.
    pub reason: String,
    /// How long the server may take to grant it.
    pub lock_deadline_ms: u64,
    /// How long it may outlive us.
    pub expiry_ms: u64,
}

/// The freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PlannedFreeze"))]
pub struct Freeze {
    /// Where the agent is.
    pub agent: String,
    /// How long the guest may take to freeze.
    pub deadline_ms: u64,
}

/// One deadline or choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Setting {
    /// As the configuration calls it.
    pub name: String,
    /// With its unit.
    pub value: String,
    /// `built in`, a table of the configuration or a flag.
    pub from: String,
}

impl Document for Plan {
    const WHAT: &'static str = "plan";
    const FORMAT: u32 = FORMAT;
}
