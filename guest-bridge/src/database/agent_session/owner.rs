//! Whose a session in the guest is.

use std::{fmt, str::FromStr};

/// How many random hexadecimal digits tell one from every other.
const CHARS: usize = 16;

/// One coordinator, as its sessions in the guest are named after it: whoever knows the name can end them when it is dead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
#[serde(into = "String", try_from = "String")]
pub struct Owner(String);

impl Owner {
    /// One that nobody is yet.
    #[allow(clippy::new_without_default, reason = "each is another")]
    #[must_use]
    pub fn new() -> Self {
        Self(format!("{:016x}", rand::random::<u64>()))
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Owner {
    type Err = String;

    /// It becomes a part of a path in the guest: nothing but what was given out is taken.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_digits = text.len() == CHARS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_digits { Ok(Self(text.to_owned())) } else { Err(format!("`{text}` owns no session")) }
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.0
    }
}

impl TryFrom<String> for Owner {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_sixteen_digits_and_nothing_else() {
        let owner = Owner::new();
        assert_eq!(owner.to_string().parse(), Ok(owner.clone()));
        assert_eq!(serde_json::from_str::<Owner>(&serde_json::to_string(&owner).unwrap()).unwrap(), owner);
        for odd in ["", "*", "0123456789abcde", "0123456789ABCDEF", "../../../../../x"] {
            odd.parse::<Owner>().unwrap_err();
        }
    }
}
