//! Sizes, apart from each other by type.

use std::fmt;

/// A number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// The next multiple of `unit`, saturating; `unit` 0 changes nothing.
    #[must_use]
    pub fn round_up(self, unit: Bytes) -> Bytes {
        match self.0.checked_rem(unit.0) {
            None | Some(0) => self,
            Some(rest) => Bytes(self.0.saturating_add(unit.0 - rest)),
        }
    }
}

/// In the largest binary unit that it fills, with one decimal: `1.5 GiB`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match UNITS.iter().find(|(_, unit)| self.0 >= *unit) {
            None => write!(f, "{} B", self.0),
            Some((name, unit)) if self.0.is_multiple_of(*unit) => write!(f, "{} {name}", self.0 / unit),
            #[allow(clippy::cast_precision_loss)] // one decimal of it is shown
            Some((name, unit)) => write!(f, "{:.1} {name}", self.0 as f64 / *unit as f64),
        }
    }
}

/// A number of 512-byte sectors, the unit of device-mapper whatever the disk's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Sectors(pub u64);

impl Sectors {
    /// The same in bytes, saturating.
    #[must_use]
    pub fn bytes(self) -> Bytes {
        Bytes(self.0.saturating_mul(512))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_up_to_extents() {
        assert_eq!(Bytes(1).round_up(Bytes(4 << 20)), Bytes(4 << 20));
        assert_eq!(Bytes(4 << 20).round_up(Bytes(4 << 20)), Bytes(4 << 20));
        assert_eq!(Bytes(5).round_up(Bytes(0)), Bytes(5));
        assert_eq!(Bytes(u64::MAX).round_up(Bytes(4096)), Bytes(u64::MAX));
    }

    #[test]
    fn sizes_are_shown_in_binary_units() {
        assert_eq!(Bytes(512).to_string(), "512 B");
        assert_eq!(Bytes(4 << 20).to_string(), "4 MiB");
        assert_eq!(Bytes(3 << 29).to_string(), "1.5 GiB");
    }
}
