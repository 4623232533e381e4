//! How large a COW volume shall be, as people write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use lvm::Bytes;

/// How large a COW volume shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CowSize {
    /// So many bytes for each disk.
    Bytes(Bytes),
    /// A share of each origin.
    PercentOfOrigin(u64),
}

impl FromStr for CowSize {
    type Err = String;

    /// `10G`, or `20%` of the origin.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some(percent) = text.strip_suffix('%') else {
            return match bytes(text)? {
                Bytes(0) => Err("a COW of no bytes holds nothing".to_owned()),
                bytes => Ok(Self::Bytes(bytes)),
            };
        };
        match percent.parse() {
            Ok(percent @ 1..=100) => Ok(Self::PercentOfOrigin(percent)),
            _ => Err(format!("`{text}`: a share of the origin is 1% to 100%")),
        }
    }
}

impl fmt::Display for CowSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::PercentOfOrigin(percent) => write!(f, "{percent}% of the origin"),
        }
    }
}

impl<'de> Deserialize<'de> for CowSize {
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
        unit => return Err(format!("no unit `{unit}`: K, M, G or T (binary), or % of the origin")),
    };
    let count: u64 = digits.parse().map_err(|_| format!("`{text}` is no size; try `512M`, `10G` or `20%`"))?;
    count.checked_mul(1 << shift).map(Bytes).ok_or_else(|| format!("`{text}` is beyond 16 EiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_in_binary_units() {
        assert_eq!("1G".parse(), Ok(CowSize::Bytes(Bytes(1 << 30))));
        assert_eq!("512MiB".parse(), Ok(CowSize::Bytes(Bytes(512 << 20))));
        assert!("1.5G".parse::<CowSize>().is_err());
        assert!("99999999999T".parse::<CowSize>().is_err());
    }

    #[test]
    fn a_cow_is_sized_in_bytes_or_as_a_share_of_the_origin() {
        assert_eq!("20%".parse(), Ok(CowSize::PercentOfOrigin(20)));
        assert_eq!("2G".parse(), Ok(CowSize::Bytes(Bytes(2 << 30))));
        assert!("0%".parse::<CowSize>().is_err());
        assert!("0".parse::<CowSize>().is_err());
    }
}
