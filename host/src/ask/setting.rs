//! One choice of a job, and who made it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::failure::Cause;

/// A value, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting<T> {
    /// What was chosen.
    pub value: T,
    /// Who chose it.
    pub from: Given,
}

/// Who chose. It is shown, and stored, as a person would find it: `built in`, `[defaults]`, `[vm.db1]`, `--level`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Given {
    /// Nobody: this program's own choice.
    BuiltIn,
    /// The configuration ahead of its tables, for the whole host.
    TopLevel,
    /// `[defaults]` of the configuration.
    Defaults,
    /// `[vm.NAME]` of the configuration, or a table in it.
    Vm(String),
    /// A flag, with its dashes.
    Flag(String),
}

/// A text that names no source of a setting.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no source of a setting")]
pub struct GivenError(String);

impl<T> Setting<T> {
    /// What nobody has to say.
    pub fn built_in(value: T) -> Self {
        Self { value, from: Given::BuiltIn }
    }

    /// The one rule of precedence: a flag, else `[vm.NAME]`, else `[defaults]`, else what is there without them.
    pub fn pick(
        flag: Option<(&'static str, T)>,
        vm: Option<(&str, T)>,
        defaults: Option<T>,
        otherwise: impl FnOnce() -> Self,
    ) -> Self {
        let flag = flag.map(|(flag, value)| Self { value, from: Given::Flag(flag.to_owned()) });
        let vm = || vm.map(|(name, value)| Self { value, from: Given::Vm(name.to_owned()) });
        let defaults = || defaults.map(|value| Self { value, from: Given::Defaults });
        flag.or_else(vm).or_else(defaults).unwrap_or_else(otherwise)
    }

    /// Makes of the value what it means.
    ///
    /// # Errors
    /// Where it means nothing; the message says where `key` (of `table` of a VM) was given.
    pub fn read<U, E: fmt::Display>(
        self,
        (table, key): (&str, &str),
        hint: &'static str,
        read: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<Setting<U>, Cause> {
        match read(self.value) {
            Ok(value) => Ok(Setting { value, from: self.from }),
            Err(error) => Err(Cause::usage(format!("{}: {error}", self.from.place(table, key)), hint)),
        }
    }
}

impl Given {
    /// Where a person finds `key`, which in a VM stands in `[vm.NAME.TABLE]`; an empty `table` is `[vm.NAME]` itself.
    #[must_use]
    pub fn place(&self, table: &str, key: &str) -> String {
        match self {
            Self::Flag(flag) => flag.clone(),
            Self::Vm(name) if table.is_empty() => format!("`{key}` in [vm.{}]", quoted(name)),
            Self::Vm(name) => format!("`{key}` in [vm.{}.{table}]", quoted(name)),
            Self::Defaults => format!("`{key}` in [defaults]"),
            Self::TopLevel => format!("`{key}` at the top of the configuration"),
            Self::BuiltIn => format!("`{key}` as built in"),
        }
    }
}

/// A VM's name as TOML has it in a table's header.
fn quoted(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { format!("{name:?}") }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::TopLevel => f.write_str("top of the configuration"),
            Self::Defaults => f.write_str("[defaults]"),
            Self::Vm(name) => write!(f, "[vm.{}]", quoted(name)),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

impl FromStr for Given {
    type Err = GivenError;

    fn from_str(text: &str) -> Result<Self, GivenError> {
        let vm = |text: &str| Some(text.strip_prefix("[vm.")?.strip_suffix(']')?.trim_matches('"').to_owned());
        match text {
            "built in" => Ok(Self::BuiltIn),
            "top of the configuration" => Ok(Self::TopLevel),
            "[defaults]" => Ok(Self::Defaults),
            flag if flag.starts_with("--") => Ok(Self::Flag(flag.to_owned())),
            other => vm(other).map(Self::Vm).ok_or_else(|| GivenError(other.to_owned())),
        }
    }
}

impl From<Given> for String {
    fn from(given: Given) -> Self {
        given.to_string()
    }
}

impl TryFrom<String> for Given {
    type Error = GivenError;

    fn try_from(text: String) -> Result<Self, GivenError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_source_that_says_anything_is_followed_and_named() {
        let flag = || Some(("--level", 4));
        let vm = || Some(("db1", 3));
        for (flag, vm, defaults, value, from) in [
            (flag(), vm(), Some(2), 4, "--level"),
            (flag(), None, None, 4, "--level"),
            (None, vm(), Some(2), 3, "[vm.db1]"),
            (None, None, Some(2), 2, "[defaults]"),
            (None, None, None, 1, "built in"),
        ] {
            let setting = Setting::pick(flag, vm, defaults, || Setting::built_in(1));
            assert_eq!((setting.value, &*setting.from.to_string()), (value, from));
        }
    }

    #[test]
    fn a_source_reads_back_as_it_was_written() {
        let vms = ["db1", "db-1_a", "db.1"].map(|name| Given::Vm(name.to_owned()));
        let others = [Given::BuiltIn, Given::TopLevel, Given::Defaults, Given::Flag("--lock-deadline".to_owned())];
        for given in vms.into_iter().chain(others) {
            let setting = Setting { value: 1, from: given };
            let text = serde_json::to_string(&setting).unwrap();
            assert_eq!(serde_json::from_str::<Setting<i32>>(&text).unwrap(), setting, "{text}");
        }
        assert!("somewhere".parse::<Given>().is_err());
    }

    #[test]
    fn the_table_of_a_vm_is_named_as_the_file_has_it() {
        let vm = |name: &str| Given::Vm(name.to_owned());
        assert_eq!(vm("db1").place("policy", "level"), "`level` in [vm.db1.policy]");
        assert_eq!(vm("db.1").place("", "agent"), "`agent` in [vm.\"db.1\"]");
        assert_eq!(Given::Defaults.place("policy", "level"), "`level` in [defaults]");
        assert_eq!(Given::Flag("--level".to_owned()).place("policy", "level"), "--level");
    }
}
