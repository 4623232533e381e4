//! How large a COW volume shall be, as people write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::share::Share;
use lvm::Bytes;

/// How large a COW volume shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CowSize {
    /// As the forecast says.
    Auto,
    /// A size for each disk, or a share of each origin.
    Of(Share),
}

impl FromStr for CowSize {
    type Err = String;

    /// `auto`, `10G`, or `20%` of the origin.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        match text.parse().map_err(|error| format!("{error}; or `auto`"))? {
            Share::Bytes(Bytes(0)) | Share::Percent(0) => Err("a COW of no bytes holds nothing".to_owned()),
            share => Ok(Self::Of(share)),
        }
    }
}

impl fmt::Display for CowSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Of(Share::Bytes(bytes)) => write!(f, "{bytes}"),
            Self::Of(percent) => write!(f, "{percent} of the origin"),
        }
    }
}

impl<'de> Deserialize<'de> for CowSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cow_is_sized_by_forecast_in_bytes_or_as_a_share_of_the_origin() {
        assert_eq!("auto".parse(), Ok(CowSize::Auto));
        assert_eq!("20%".parse(), Ok(CowSize::Of(Share::Percent(20))));
        assert_eq!("2G".parse(), Ok(CowSize::Of(Share::Bytes(Bytes(2 << 30)))));
        assert!("0%".parse::<CowSize>().is_err());
        assert!("0".parse::<CowSize>().is_err());
        assert!("Auto".parse::<CowSize>().is_err());
    }
}
