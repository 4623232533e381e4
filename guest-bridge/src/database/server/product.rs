//! Which product, and which release of it.

use std::fmt;

/// Who forked it. Read from a file, one that is not known is an error: what holds for these need not hold for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// MariaDB Server.
    MariaDb,
    /// Oracle's MySQL, and whatever does not say that it is something else.
    MySql,
    /// Percona Server for MySQL.
    Percona,
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
            Self::Percona => "Percona Server",
        })
    }
}

/// A release number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Version {
    /// 10 of 10.11.19.
    pub major: u16,
    /// 11 of 10.11.19.
    pub minor: u16,
    /// 19 of 10.11.19.
    pub patch: u16,
}

impl Version {
    /// Reads the numbers at the front of `@@version`, such as `10.11.19-MariaDB-0+deb12u1-log`. Old MariaDB servers put `5.5.5-`
    /// before it, for the sake of old replicas.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("5.5.5-").unwrap_or(text);
        let numbers = text.split(|char: char| !char.is_ascii_digit() && char != '.').next()?;
        let mut numbers = numbers.split('.').map(|number| number.parse::<u16>().ok());
        Some(Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next().flatten().unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}
