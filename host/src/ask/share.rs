//! A size, or a share of something, as people write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use lvm::Bytes;

/// A size, or a share of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many bytes.
    Bytes(Bytes),
    /// So many hundredths, 100 at most.
    Percent(u64),
}

impl Share {
    /// What that is of `whole`.
    #[must_use]
    pub fn of(self, whole: Bytes) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => Bytes(whole.0 / 100 * percent + whole.0 % 100 * percent / 100),
        }
    }
}

impl FromStr for Share {
    type Err = String;

    /// `10G`, or `20%`.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some(percent) = text.strip_suffix('%') else { return bytes(text).map(Self::Bytes) };
        match percent.parse() {
            Ok(percent @ 0..=100) => Ok(Self::Percent(percent)),
            _ => Err(format!("`{text}`: a share is at most 100%")),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `4096`, `512M`, `10G`, `1T`: binary units, with or without `iB`.
fn bytes(text: &str) -> Result<Bytes, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &*text[digits.len()..].to_ascii_uppercase() {
        "" | "B" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        "T" | "TIB" => 40,
        unit => return Err(format!("no unit `{unit}`: K, M, G or T (binary), or %")),
    };
    let count: u64 = digits.parse().map_err(|_| format!("`{text}` is no size; try `512M`, `10G` or `20%`"))?;
    count.checked_mul(1 << shift).map(Bytes).ok_or_else(|| format!("`{text}` is beyond 16 EiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_in_binary_units() {
        assert_eq!("1G".parse(), Ok(Share::Bytes(Bytes(1 << 30))));
        assert_eq!("512MiB".parse(), Ok(Share::Bytes(Bytes(512 << 20))));
        assert_eq!("0".parse(), Ok(Share::Bytes(Bytes(0))));
        assert!("1.5G".parse::<Share>().is_err());
        assert!("99999999999T".parse::<Share>().is_err());
    }

    #[test]
    fn a_share_is_of_something() {
        let share: Share = "20%".parse().unwrap();
        assert_eq!((share, share.of(Bytes(1000))), (Share::Percent(20), Bytes(200)));
        assert_eq!(Share::Percent(100).of(Bytes(u64::MAX)), Bytes(u64::MAX));
        assert!("101%".parse::<Share>().is_err());
        assert!("-1%".parse::<Share>().is_err());
    }
}
