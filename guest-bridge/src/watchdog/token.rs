//! The name of a watchdog.

use std::{fmt, str::FromStr};

const PREFIX: &str = "stillpoint-watchdog.";
/// 128 bits in hexadecimal.
const RANDOM_CHARS: usize = 32;

/// The name of the watchdog of one run: `stillpoint-watchdog.` and 32 random hexadecimal digits. It is good for one
/// [`arm`](super::arm), and tells it from every other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
#[serde(into = "String", try_from = "String")]
pub struct Token(String);

impl Token {
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

    /// The name of its folder.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("`{text}` is no name of a watchdog"))
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.0
    }
}

impl TryFrom<String> for Token {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "stillpoint-watchdog.0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_is_written_and_read_as_a_string() {
        let token = Token::new();
        let json = serde_json::to_string(&token).unwrap();
        assert_eq!(json, format!("\"{token}\""));
        assert_eq!(serde_json::from_str::<Token>(&json).unwrap(), token);
        assert_ne!(Token::new(), token);
    }

    #[test]
    fn what_could_lead_to_another_folder_is_no_token() {
        assert_eq!(Token::parse(TOKEN).unwrap().as_str(), TOKEN);
        let odd = [&TOKEN[1..], &TOKEN[..51], &TOKEN.replace('a', "/"), &TOKEN.replace('a', "A"), &format!("{TOKEN}0")];
        for odd in odd {
            assert_eq!(Token::parse(odd), None, "{odd}");
            serde_json::from_value::<Token>(odd.into()).unwrap_err();
        }
    }
}
