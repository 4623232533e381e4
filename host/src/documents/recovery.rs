//! What `stillpoint recover` found and did: `recover --json`.

use serde::{Deserialize, Serialize};

use super::Document;

/// The version of this document.
pub const FORMAT: u32 = 1;

/// What was found and done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Recovery {
    /// The version of this form.
    pub format: u32,
    /// Each run that has a log, oldest first; those that hold nothing only where all were asked for.
    pub runs: Vec<RecoveredRun>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecoveredRun {
    /// Its log.
    pub log: String,
    /// The run; `null` where the log says nothing.
    pub run: Option<String>,
    /// Its VM; `null` where the log says nothing.
    pub vm: Option<String>,
    /// What was found.
    #[serde(flatten)]
    pub state: RunState,
}

/// What was found of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum RunState {
    /// It lives, or somebody else recovers it.
    Alive,
    /// It holds nothing.
    Nothing,
    /// It died with something in its hands.
    Dead {
        /// What was given back now.
        freed: Vec<String>,
        /// What goes by itself.
        by_itself: Vec<String>,
        /// What lies on the disks of a VM that does not run, and is given back by the next recovery, or backup, that finds it running; not
        /// before 0.2.
        #[serde(default)]
        waits: Vec<String>,
        /// What could not be given back.
        left: Vec<LeftBehind>,
    },
    /// Its log cannot be read: a person has to look.
    Unreadable {
        /// Why.
        why: String,
    },
}

/// Something that could not be given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeftBehind {
    /// What it is.
    pub what: String,
    /// Why it is left.
    pub why: String,
    /// What helps.
    pub hint: String,
}

impl Document for Recovery {
    const WHAT: &'static str = "recovery";
    const FORMAT: u32 = FORMAT;
}
