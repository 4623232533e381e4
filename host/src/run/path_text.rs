//! A path as text, also where it is none: JSON has no bytes. What is not UTF-8 is written as `hex:` and its bytes.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

const HEX: &str = "hex:";

/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str().filter(|text| !text.starts_with(HEX)) {
        Some(text) => serializer.serialize_str(text),
        None => {
            let hex: String = path.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            serializer.serialize_str(&format!("{HEX}{hex}"))
        }
    }
}

/// # Errors
/// Where `hex:` is not followed by whole bytes.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.strip_prefix(HEX) {
        None => Ok(text.into()),
        Some(hex) => {
            let bytes = bytes(hex).ok_or_else(|| D::Error::custom("`hex:` wants two digits a byte"))?;
            Ok(OsString::from_vec(bytes).into())
        }
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = hex.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let byte = |pair: &[u32]| match *pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Holder(#[serde(with = "super")] PathBuf);

    #[test]
    fn any_path_reads_back_as_it_was() {
        for bytes in [&b"/backup/.b.img.zst.partial"[..], b"/b\xff\n", b"hex:00", b""] {
            let path = Holder(OsString::from_vec(bytes.to_vec()).into());
            let text = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<Holder>(&text).unwrap(), path, "{text}");
        }
    }

    #[test]
    fn half_a_byte_is_refused() {
        for text in ["\"hex:0\"", "\"hex:0g\""] {
            assert!(serde_json::from_str::<Holder>(text).is_err(), "{text}");
        }
    }
}
