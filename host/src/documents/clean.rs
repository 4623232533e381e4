//! What `stillpoint clean` found, and did: `clean --json`.

use serde::{Deserialize, Serialize};

use super::Document;

/// The version of this document.
pub const FORMAT: u32 = 1;

/// What was found; of a clean-up of what was named, that, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Clean {
    /// The version of this form.
    pub format: u32,
    /// What is stale; or each that was named.
    pub findings: Vec<Stale>,
    /// What could not be looked at: it may hold more.
    pub not_looked_at: Vec<NotLookedAt>,
}

/// Something stale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stale {
    /// Its name: `vg/lv`, else the one in device-mapper.
    pub name: String,
    /// What it is.
    pub what: StaleKind,
    /// Its UUID in device-mapper.
    pub uuid: String,
    /// What it is a snapshot of; `null` where it is none, or nobody knows.
    pub origin: Option<String>,
    /// Its size, of a thick snapshot that of its COW; `null` where LVM does not know it.
    pub size_bytes: Option<u64>,
    /// How much of its COW is in use; `null` where it is not a thick snapshot that works.
    pub cow_used_bytes: Option<u64>,
    /// How much COW it has; `null` with `cow_used_bytes`.
    pub cow_total_bytes: Option<u64>,
    /// When it was made, RFC 3339, UTC; `null` where LVM does not know.
    pub made_at: Option<String>,
    /// The run of stillpoint that it is of; `null` where it is of none.
    pub run: Option<RunOfVolume>,
    /// What lies on it and who holds it, lowest first.
    pub on_top: Vec<OnTop>,
    /// How it is taken down: command lines, in this order, each as its arguments.
    pub order: Vec<Vec<String>>,
    /// Why `clean` leaves it alone; `null` where it does not.
    pub refused: Option<String>,
    /// What has to let go first, and `clean` does not end, with what helps.
    pub in_the_way: Vec<String>,
    /// What became of it; `null` where it was only looked at.
    pub outcome: Option<CleanOutcome>,
}

/// What something stale is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StaleKind {
    /// A thick snapshot: every write of its origin costs another one.
    Snapshot,
    /// A thick snapshot whose COW was full: it is good for nothing.
    InvalidSnapshot,
    /// A thin snapshot: it may be wanted.
    ThinSnapshot,
    /// A volume of a run of stillpoint that is no snapshot.
    RunVolume,
    /// A volume that is no snapshot, with partitions mapped or loop devices over it.
    MappedVolume,
    /// Nodes in device-mapper of a volume that LVM has not.
    LeftoverNodes,
}

/// A run of stillpoint, and whether it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunOfVolume {
    /// The run.
    pub run: String,
    /// Whether it lives.
    pub state: RunLife,
}

/// Whether a run lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RunLife {
    /// It does, or somebody recovers it.
    Alive,
    /// It died: `stillpoint recover` gives back what it held.
    Dead,
    /// Its log is not here.
    Unknown,
}

/// What lies on something stale, or holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum OnTop {
    /// A piece of it, mapped as by kpartx.
    Mapping {
        /// Its name in device-mapper.
        name: String,
        /// What it lies on.
        on: String,
    },
    /// A loop device.
    Loop {
        /// `loop0`.
        name: String,
        /// What it lies on.
        on: String,
    },
    /// A partition of a loop device.
    Partition {
        /// `loop0p1`.
        name: String,
        /// The loop device.
        on: String,
    },
    /// A device that `clean` does not take away.
    Device {
        /// Its name.
        name: String,
        /// What it lies on.
        on: String,
    },
    /// A mount.
    Mount {
        /// Where.
        mountpoint: String,
        /// The filesystem.
        fs_type: String,
        /// The device.
        on: String,
        /// A process of the mount namespace that it is in; `null` in that of `clean` itself.
        within: Option<HoldingProcess>,
    },
    /// A process.
    Process {
        /// It.
        process: HoldingProcess,
        /// The device that it has open, or the mountpoint below which it works.
        on: String,
    },
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldingProcess {
    /// Its number.
    pub pid: u32,
    /// The name of its program.
    pub command: String,
    /// When it started, RFC 3339, UTC; `null` where that is not known.
    pub since: Option<String>,
}

/// What became of something that was named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum CleanOutcome {
    /// It is gone, and all that lay on it.
    Gone,
    /// It is there, or some of it.
    Left {
        /// Why.
        why: String,
        /// What helps.
        hint: String,
    },
}

/// What could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotLookedAt {
    /// The volume group; `null` where its name is not known.
    pub vg: Option<String>,
    /// The device that LVM passed over, and with it a group that lies on it; `null` where it is not that. Where both are `null`, LVM
    /// did not answer at all.
    pub device: Option<String>,
    /// Why.
    pub why: String,
}

impl Document for Clean {
    const WHAT: &'static str = "clean";
    const FORMAT: u32 = FORMAT;
}
