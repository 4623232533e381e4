//! What a disk holds and how sound it is: `stillpoint check --json`.

use std::borrow::Cow;

use fsprobe::Report;
use serde::{Deserialize, Serialize};

use super::{Document, first_format};

/// The version of what `check` prints.
pub const FORMAT: u32 = 1;

/// What was found of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Checked {
    /// The version of this form. Before 0.2 it was not said.
    #[serde(default = "first_format")]
    pub format: u32,
    /// What fsprobe read, and what happened to the target meanwhile.
    #[serde(flatten)]
    pub report: Report,
    /// How to look into each volume; only with `--mount-hints`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_hints: Option<Vec<Hint>>,
}

/// How to look into one volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hint {
    /// The volume's path.
    pub volume: String,
    /// What would write, or why there are no commands.
    pub warning: Cow<'static, str>,
    /// Command lines for bash.
    pub commands: Vec<String>,
}

impl Document for Checked {
    const WHAT: &'static str = "check";
    const FORMAT: u32 = FORMAT;
}
