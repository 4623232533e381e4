//! The volumes that this program made, and how they are told from all others: by tag and by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{LvName, NameError};

/// The tag of every volume that this program makes.
pub(super) const TAG: &str = "stillpoint";
/// How the name of every such volume starts.
const PREFIX: &str = "stillpoint-";

/// Names one run in the names of its volumes: 1 to 32 of `a-z 0-9`. Serialised as that text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// The text is no [`RunId`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no run id: 1 to 32 of a-z and 0-9")]
pub struct RunIdError(String);

impl RunId {
    /// The run that a volume of this name is of, where it is a name that [`RunId::volume`] makes. The name alone proves nothing.
    #[must_use]
    pub fn of_volume(name: &LvName) -> Option<Self> {
        let (run, number) = name.lv().strip_prefix(PREFIX)?.split_once('-')?;
        number.parse::<u32>().ok().and_then(|_| run.parse().ok())
    }

    /// The run's `number`th volume, in the group `vg`: `stillpoint-RUN-NUMBER`.
    ///
    /// # Errors
    /// Where `vg` is no name of a group.
    pub fn volume(&self, vg: &str, number: usize) -> Result<LvName, NameError> {
        LvName::new(vg, &format!("{PREFIX}{self}-{number}"))
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(RunIdError(text.to_owned())) }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;

    fn try_from(text: String) -> Result<Self, RunIdError> {
        text.parse()
    }
}

/// Whether a name is one that [`RunId::volume`] makes.
pub(super) fn is_ours(name: &LvName) -> bool {
    RunId::of_volume(name).is_some()
}
