//! The name of a set of markers, and what is in each.

use std::{fmt, str::FromStr};

use super::DeviceNumber;

const PREFIX: &str = ".stillpoint-";
/// 128 bits in hexadecimal.
const RANDOM_CHARS: usize = 32;

/// The name of the markers of one run: `.stillpoint-` and 32 random hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
#[serde(into = "String", try_from = "String")]
pub struct MarkerName(String);

impl MarkerName {
    /// One that nothing has yet.
    #[allow(clippy::new_without_default, reason = "each is another")]
    #[must_use]
    pub fn new() -> Self {
        Self(format!("{PREFIX}{:032x}", rand::random::<u128>()))
    }

    /// Reads one; `None` where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(PREFIX)?;
        let is_hexadecimal = random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (random.len() == RANDOM_CHARS && is_hexadecimal).then(|| Self(text.to_owned()))
    }

    /// The name of the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Exactly what the marker holds on the filesystem of `device`. The name tells the runs apart, the device the filesystems.
    #[must_use]
    pub fn content(&self, device: DeviceNumber) -> Vec<u8> {
        format!("stillpoint marker {device} {self}\n").into_bytes()
    }
}

impl fmt::Display for MarkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MarkerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("`{text}` is no name of a marker"))
    }
}

impl From<MarkerName> for String {
    fn from(name: MarkerName) -> Self {
        name.0
    }
}

impl TryFrom<String> for MarkerName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = ".stillpoint-0123456789abcdef0123456789abcdef";

    #[test]
    fn a_name_is_written_and_read_as_a_string() {
        let name = MarkerName::new();
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<MarkerName>(&json).unwrap(), name);
        assert_ne!(MarkerName::new(), name);
    }

    #[test]
    fn what_could_lead_to_another_file_is_no_name() {
        assert_eq!(MarkerName::parse(NAME).unwrap().as_str(), NAME);
        let odd = [&NAME[1..], &NAME[..43], &NAME.replace('a', "/"), &NAME.replace('a', "A"), &format!("{NAME}0")];
        for odd in odd {
            assert_eq!(MarkerName::parse(odd), None, "{odd}");
            serde_json::from_value::<MarkerName>(odd.into()).unwrap_err();
        }
    }

    #[test]
    fn a_marker_tells_run_and_filesystem() {
        let content = MarkerName::parse(NAME).unwrap().content(DeviceNumber { major: 253, minor: 1 });
        assert_eq!(content, format!("stillpoint marker 253:1 {NAME}\n").as_bytes());
    }
}
