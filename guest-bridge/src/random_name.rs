//! Names that nothing else has, for what a run makes in a guest.

/// 128 random bits, in hexadecimal.
pub const DIGITS: usize = 32;

/// A type that is a prefix and [`DIGITS`] random hexadecimal digits, as text and in every document. Nothing else can be read as one: each
/// becomes a part of a path in the guest.
macro_rules! random_name {
    ($(#[$meta:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// One that nothing has yet.
            #[allow(clippy::new_without_default, reason = "each is another")]
            #[must_use]
            pub fn new() -> Self {
                Self(format!("{}{:032x}", $prefix, rand::random::<u128>()))
            }

            /// Reads one; `None` where it is none.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let digits = text.strip_prefix($prefix)?;
                let is_hexadecimal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                (digits.len() == $crate::random_name::DIGITS && is_hexadecimal).then(|| Self(text.to_owned()))
            }

            /// The whole of it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::parse(text).ok_or_else(|| format!("`{text}` is no name of {}", $what))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    };
}
pub(crate) use random_name;

#[cfg(test)]
mod tests {
    random_name! {
        /// Of nothing.
        Name, "stillpoint-test.", "a test"
    }

    const NAME: &str = "stillpoint-test.0123456789abcdef0123456789abcdef";

    #[test]
    fn a_name_is_written_and_read_as_a_string() {
        let name = Name::new();
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
        assert_ne!(Name::new(), name);
    }

    #[test]
    fn what_could_lead_to_another_file_is_no_name() {
        assert_eq!(Name::parse(NAME).unwrap().as_str(), NAME);
        let odd = [&NAME[1..], &NAME[..47], &NAME.replace('a', "/"), &NAME.replace('a', "A"), &format!("{NAME}0")];
        for odd in odd {
            assert_eq!(Name::parse(odd), None, "{odd}");
            serde_json::from_value::<Name>(odd.into()).unwrap_err();
        }
    }
}
