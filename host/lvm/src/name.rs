//! Names of logical volumes. The rules are those of lvm(8), "VALID NAMES", and of `lib/misc/lvm-string.c`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `vg/lv`, both valid by LVM's rules: safe as an argument and as part of a path. Serialised as that text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct LvName {
    vg: String,
    lv: String,
}

/// Why a text names no logical volume.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// It has another form.
    #[error("`{0}` does not name a logical volume; write vg/lv, /dev/vg/lv or /dev/mapper/vg-lv")]
    Form(String),
    /// A part of it breaks LVM's rules.
    #[error("`{name}` is not a valid name of a {what}: {why}")]
    Part {
        /// The part.
        name: String,
        /// "volume group" or "logical volume".
        what: &'static str,
        /// The rule that it breaks.
        why: &'static str,
    },
}

/// The longest name of a VG or LV: `NAME_LEN` less the final 0.
const MAX_LEN: usize = 127;
/// LVs that LVM makes for itself (`_reserved_prefixes` and `_reserved_strings` in `lib/misc/lvm-string.c`).
const RESERVED_PREFIXES: [&str; 2] = ["pvmove", "snapshot"];
const RESERVED_STRINGS: [&str; 16] = [
    "_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_mimage", "_mlog", "_pmspare", "_rimage", "_rmeta", "_tdata",
    "_tmeta", "_vdata", "_vorigin", "_wcorig", "_imeta",
];

impl LvName {
    /// A volume of this group.
    pub fn new(vg: &str, lv: &str) -> Result<Self, NameError> {
        part(vg, "volume group")?;
        part(lv, "logical volume")?;
        let why = if RESERVED_PREFIXES.iter().any(|prefix| lv.starts_with(prefix)) {
            Some("LVM keeps names that start with `pvmove` or `snapshot` for itself")
        } else if RESERVED_STRINGS.iter().any(|text| lv.contains(text)) {
            Some("it contains a word that LVM keeps for its internal volumes")
        } else {
            None
        };
        match why {
            Some(why) => Err(NameError::Part { name: lv.to_owned(), what: "logical volume", why }),
            None => Ok(Self { vg: vg.to_owned(), lv: lv.to_owned() }),
        }
    }

    /// The volume group.
    #[must_use]
    pub fn vg(&self) -> &str {
        &self.vg
    }

    /// The logical volume, without its group.
    #[must_use]
    pub fn lv(&self) -> &str {
        &self.lv
    }

    /// Its name in device-mapper: each dash doubled, a single one between.
    #[must_use]
    pub fn dm_name(&self) -> String {
        format!("{}-{}", self.vg.replace('-', "--"), self.lv.replace('-', "--"))
    }
}

impl fmt::Display for LvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.vg, self.lv)
    }
}

impl From<LvName> for String {
    fn from(name: LvName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for LvName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl FromStr for LvName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let form = || NameError::Form(text.to_owned());
        if let Some(name) = text.strip_prefix("/dev/mapper/") {
            let (vg, lv) = split_dm_name(name).ok_or_else(form)?;
            return Self::new(&vg, &lv);
        }
        let name = text.strip_prefix("/dev/").unwrap_or(text);
        match name.split_once('/') {
            Some((vg, lv)) if !vg.is_empty() && !lv.is_empty() && !lv.contains('/') => Self::new(vg, lv),
            _ => Err(form()),
        }
    }
}

/// Splits at the one dash that is not doubled. dm names of LVM's internal devices (`vg-lv-real`) have more than one, and are refused.
fn split_dm_name(name: &str) -> Option<(String, String)> {
    let mut parts = vec![String::new()];
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '-' && chars.next_if_eq(&'-').is_none() {
            parts.push(String::new());
        } else {
            parts.last_mut()?.push(c);
        }
    }
    let [vg, lv] = <[String; 2]>::try_from(parts).ok()?;
    Some((vg, lv))
}

fn part(name: &str, what: &'static str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+.-".contains(c);
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > MAX_LEN {
        "it is longer than 127 characters"
    } else if name.starts_with('-') {
        "it starts with a dash"
    } else if name == "." || name == ".." {
        "it is a folder's"
    } else if !name.chars().all(allowed) {
        "only a-z A-Z 0-9 + _ . - are allowed"
    } else {
        return Ok(());
    };
    Err(NameError::Part { name: name.to_owned(), what, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<LvName, NameError> {
        text.parse()
    }

    #[test]
    fn a_name_is_taken_in_all_three_forms() {
        let expected = LvName::new("vg-1", "vm-473-disk-0").unwrap();
        assert_eq!(name("vg-1/vm-473-disk-0").unwrap(), expected);
        assert_eq!(name("/dev/vg-1/vm-473-disk-0").unwrap(), expected);
        assert_eq!(name("/dev/mapper/vg--1-vm--473--disk--0").unwrap(), expected);
        assert_eq!(expected.dm_name(), "vg--1-vm--473--disk--0");
    }

    #[test]
    fn an_internal_device_of_lvm_is_no_logical_volume() {
        assert!(matches!(name("/dev/mapper/vg-debian-real"), Err(NameError::Form(_))));
        assert!(matches!(name("vg/pool_tdata"), Err(NameError::Part { .. })));
        assert!(matches!(name("vg/snapshot0"), Err(NameError::Part { .. })));
    }

    #[test]
    fn what_could_be_taken_for_an_option_or_a_path_is_refused() {
        for bad in [
            "vg",
            "vg/",
            "/lv",
            "vg/a/b",
            "vg/..",
            "../lv",
            "-y/lv",
            "vg/-f",
            "vg/a b",
            "vg/$(x)",
            "/dev/sda",
            "vg/\u{e9}",
            "",
        ] {
            assert!(name(bad).is_err(), "{bad:?} was taken for a logical volume");
        }
        assert!(name(&format!("vg/{}", "a".repeat(128))).is_err());
        assert!(name(&format!("vg/{}", "a".repeat(127))).is_ok());
    }
}
