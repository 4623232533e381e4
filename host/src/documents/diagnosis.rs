//! What would keep a backup from its grade: `stillpoint doctor --json`.

use serde::{Deserialize, Serialize};

use super::Document;
use crate::grade::Grade;

/// The version of this document.
pub const FORMAT: u32 = 1;

/// What was found on host and guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diagnosis {
    /// The version of this form.
    pub format: u32,
    /// The VM.
    pub vm: String,
    /// The weakest grade that counts as success.
    pub require: Grade,
    /// The best grade that a backup could have, by what was found; `null` where it would fail.
    pub at_best: Option<Grade>,
    /// Each thing that was looked at, worst first.
    pub findings: Vec<Finding>,
    /// The freeze that was tried; `null` where none was, or it failed.
    pub freeze_test: Option<FreezeTest>,
}

/// One thing that was found, or could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "DiagnosisFinding"))]
pub struct Finding {
    /// What it means for a backup.
    pub level: Level,
    /// Which check found it, such as `agent`, `loops`, `room`.
    pub check: String,
    /// Whether it was seen; `false`: the level says what a backup has to assume.
    pub looked_at: bool,
    /// The grade that a backup has at best for it; `null` where the grade does not depend on it, or the backup would fail.
    pub at_best: Option<Grade>,
    /// What was found, in a sentence.
    pub what: String,
    /// What follows from it.
    pub why: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What something means for a backup, lightest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "DiagnosisLevel"))]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It is as it should be.
    Fine,
    /// A person should know.
    Note,
    /// The grade would be less than is required.
    KeepsFromGrade,
    /// A backup would fail.
    Stops,
}

/// How long a freeze and a thaw took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FreezeTest {
    /// From the sending of the freeze to its answer.
    pub freeze_ms: u64,
    /// From the sending of the thaw until the guest was thawed for sure.
    pub thaw_ms: u64,
    /// Filesystems that the agent says it froze.
    pub frozen: u32,
    /// Filesystems that it says it thawed; `null` where its reply was lost.
    pub thawed: Option<u32>,
}

impl Document for Diagnosis {
    const WHAT: &'static str = "diagnosis";
    const FORMAT: u32 = FORMAT;
}
