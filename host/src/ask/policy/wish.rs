//! Whether a watchdog is wanted in the guest, and a dump of its database.

use std::fmt;
use std::str::FromStr;

/// Whether a watchdog is wanted in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchdogWish {
    /// Where it can be had.
    Auto,
    /// No window without one.
    Require,
    /// None.
    None,
}

impl fmt::Display for WatchdogWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Require => "require",
            Self::None => "none",
        })
    }
}

impl FromStr for WatchdogWish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "require" => Ok(Self::Require),
            "none" => Ok(Self::None),
            _ => Err(format!("`{}` says nothing of a watchdog: auto, require or none", text.escape_default())),
        }
    }
}

/// Whether a dump of the database is wanted, which the guest makes and streams out, in place of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpWish {
    /// Where a snapshot would not last.
    Auto,
    /// A dump, and no image.
    Only,
    /// Never.
    Never,
}

impl fmt::Display for DumpWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Only => "only",
            Self::Never => "never",
        })
    }
}

impl FromStr for DumpWish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "only" => Ok(Self::Only),
            "never" => Ok(Self::Never),
            _ => Err(format!("`{}` says nothing of a dump: auto, only or never", text.escape_default())),
        }
    }
}
