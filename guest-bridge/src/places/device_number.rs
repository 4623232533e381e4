//! Numbers of devices.

use std::{fmt, str::FromStr};

/// The number of a block device in the guest, or of a filesystem that has none (then its major is 0). Written `253:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
#[serde(into = "String", try_from = "String")]
pub struct DeviceNumber {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl DeviceNumber {
    /// From the one number that stat(1) writes for `%d`, as glibc's and musl's `makedev` put it together.
    pub(super) fn of_stat(number: u64) -> Self {
        // Masked, both fit.
        let half = |high: u64, low: u64| u32::try_from((high | low) & 0xFFFF_FFFF).unwrap_or(u32::MAX);
        Self {
            major: half((number >> 32) & 0xFFFF_F000, (number >> 8) & 0xFFF),
            minor: half((number >> 12) & 0xFFFF_FF00, number & 0xFF),
        }
    }

    /// The number that stat(1) writes for `%d`.
    pub(super) fn to_stat(self) -> u64 {
        let (major, minor) = (u64::from(self.major), u64::from(self.minor));
        (major & 0xFFFF_F000) << 32 | (major & 0xFFF) << 8 | (minor & 0xFFFF_FF00) << 12 | minor & 0xFF
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl FromStr for DeviceNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = |(major, minor): (&str, &str)| Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? });
        text.split_once(':').and_then(read).ok_or_else(|| format!("`{text}` is no device number such as 253:1"))
    }
}

impl From<DeviceNumber> for String {
    fn from(number: DeviceNumber) -> Self {
        number.to_string()
    }
}

impl TryFrom<String> for DeviceNumber {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_number_is_written_as_the_kernel_writes_it() {
        let number = DeviceNumber { major: 253, minor: 1 };
        assert_eq!(serde_json::to_string(&number).unwrap(), r#""253:1""#);
        assert_eq!(serde_json::from_str::<DeviceNumber>(r#""253:1""#).unwrap(), number);
        serde_json::from_str::<DeviceNumber>(r#""253""#).unwrap_err();
    }

    #[test]
    fn the_one_number_of_stat_is_taken_apart_and_put_together() {
        let split = |number| DeviceNumber::of_stat(number).to_string();
        assert_eq!((split(65024), split(0x10_0301)), ("254:0".to_owned(), "3:257".to_owned()));
        for number in [0, 65024, 0x10_0301, 0x1234_5678_9ABC_DEF0, u64::MAX] {
            assert_eq!(DeviceNumber::of_stat(number).to_stat(), number);
        }
    }
}
