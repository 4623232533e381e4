//! How full the snapshots and thin pools of a host are: `stillpoint watch --json`, a line a look.

use serde::{Deserialize, Serialize};

use super::Document;

/// The version of a look.
pub const FORMAT: u32 = 1;

/// One look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sample {
    /// The version of this form.
    pub format: u32,
    /// When, RFC 3339, UTC.
    pub at: String,
    /// Every thick snapshot, by name.
    pub snapshots: Vec<Snapshot>,
    /// Every thin pool, by name.
    pub pools: Vec<Pool>,
}

/// A thick snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Snapshot {
    /// `vg/lv`, or device-mapper's name where it is not LVM's.
    pub name: String,
    /// What it is good for.
    pub state: State,
    /// Its COW; `null` where it is not active.
    pub cow: Option<Fill>,
}

/// What a snapshot is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Whole.
    Active,
    /// Dropped by the kernel: nothing can be read of it.
    Invalid,
    /// It lacks what was written since it was full: as bad as invalid.
    Overflow,
    /// It is being merged into its origin.
    Merging,
    /// Nobody can tell.
    #[serde(other)]
    Unknown,
}

/// How full something is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fill {
    /// What is in use: bytes of a COW, blocks of a pool.
    pub used: u64,
    /// What there is.
    pub total: u64,
    /// The one of the other, in percent.
    pub percent: f64,
    /// How much more a second: of the last 10 seconds or the last minute, whichever is more.
    pub per_second: u64,
    /// In how many seconds it is full, going on so; `null` where it is not filling, or was looked at only once.
    pub full_in_s: Option<u64>,
}

/// A thin pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pool {
    /// `vg/lv`, or device-mapper's name where it is not LVM's.
    pub name: String,
    /// Whether its volumes may be written to.
    pub mode: PoolMode,
    /// Its blocks of data; `null` where nobody can tell.
    pub data: Option<Fill>,
    /// Its blocks of metadata; `null` where nobody can tell.
    pub metadata: Option<Fill>,
}

/// Whether a pool's volumes may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PoolMode {
    /// They may.
    ReadWrite,
    /// Only what has its block.
    OutOfDataSpace,
    /// No.
    ReadOnly,
    /// It has failed, or wants a repair.
    Failed,
    /// Nobody can tell.
    #[serde(other)]
    Unknown,
}

impl Sample {
    /// A look.
    #[must_use]
    pub fn new(at: String, snapshots: Vec<Snapshot>, pools: Vec<Pool>) -> Self {
        Self { format: FORMAT, at, snapshots, pools }
    }
}

impl Document for Sample {
    const WHAT: &'static str = "look at the snapshots of a host";
    const FORMAT: u32 = FORMAT;
}
