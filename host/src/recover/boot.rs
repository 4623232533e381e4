//! Which boot of the host this is.

use std::fs;

/// `/proc/sys/kernel/random/boot_id`; empty where the kernel does not tell.
#[must_use]
pub fn this_boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
