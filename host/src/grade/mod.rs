//! The grades of an artifact: the consistency that was proven for it, not the one that was hoped for.

mod indication;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use indication::Indication;

/// What an artifact is proven to be, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Does not verify. Never a success.
    Damaged,
    /// A dump, whole and at recorded coordinates.
    Logical,
    /// Not frozen, or thawed too early; a journal replay gives a sound filesystem.
    Crash,
    /// The freeze is proven on disk.
    Filesystem,
    /// The freeze is proven on disk of every filesystem that holds the database, and so is the state in which the database was
    /// held still.
    Application,
    /// The VM was off: the filesystems of these disks are unmounted and the databases found on them are shut down, both proven on
    /// disk. Whether it has other disks nobody could ask it.
    Clean,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "damaged",
            Self::Logical => "logical",
            Self::Crash => "crash",
            Self::Filesystem => "filesystem",
            Self::Application => "application",
            Self::Clean => "clean",
        })
    }
}

impl FromStr for Grade {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "clean" => Ok(Self::Clean),
            "application" => Ok(Self::Application),
            "filesystem" => Ok(Self::Filesystem),
            "crash" => Ok(Self::Crash),
            "logical" => Ok(Self::Logical),
            _ => Err(format!("no grade `{text}`: clean, application, filesystem, crash or logical")),
        }
    }
}
