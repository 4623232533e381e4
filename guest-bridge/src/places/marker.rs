//! The name of a set of markers, and what is in each.

use super::DeviceNumber;
use crate::random_name::random_name;

random_name! {
    /// The name of the markers of one run: `.stillpoint-` and 32 random hexadecimal digits.
    MarkerName, ".stillpoint-", "a marker"
}

impl MarkerName {
    /// Exactly what the marker holds on the filesystem of `device`. The name tells the runs apart, the device the filesystems.
    #[must_use]
    pub fn content(&self, device: DeviceNumber) -> Vec<u8> {
        format!("stillpoint marker {device} {self}\n").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = ".stillpoint-0123456789abcdef0123456789abcdef";

    #[test]
    fn a_marker_tells_run_and_filesystem() {
        let content = MarkerName::parse(NAME).unwrap().content(DeviceNumber { major: 253, minor: 1 });
        assert_eq!(content, format!("stillpoint marker 253:1 {NAME}\n").as_bytes());
    }
}
