//! Which LVM this host has, and with which device-mapper.

use super::command::DEADLINE;
use super::{Lvm, LvmError};
use crate::programs::Invocation;

/// What `lvm version` says, as it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LvmVersion {
    /// Of the programs, such as `2.03.16(2) (2022-05-18)`.
    pub lvm: String,
    /// Of the kernel's device-mapper, such as `4.47.0`; `None` where it is not loaded.
    pub driver: Option<String>,
}

impl Lvm {
    /// Which LVM this host has.
    pub fn version(&self) -> Result<LvmVersion, LvmError> {
        let invocation = Invocation::new("lvm", DEADLINE).arg("version");
        let output = self.run(&invocation)?;
        read(&String::from_utf8_lossy(&output.stdout))
            .ok_or_else(|| LvmError::Answer { command: invocation.to_string(), why: "it names no version".to_owned() })
    }
}

/// `LVM version:     2.03.16(2) (2022-05-18)` and `Driver version:  4.47.0`, each on a line.
fn read(said: &str) -> Option<LvmVersion> {
    let of = |name: &str| {
        let value = said.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(" version:"))?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    Some(LvmVersion { lvm: of("LVM")?, driver: of("Driver") })
}

#[cfg(test)]
mod tests {
    use super::*;

    // As LVM 2.03.16 prints it.
    const SAID: &str = "  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185 (2022-05-18)\n  \
                        Driver version:  4.47.0\n  Configuration:   ./configure --build=x86_64-linux-gnu\n";

    #[test]
    fn programs_and_driver_are_told() {
        let version = read(SAID).unwrap();
        assert_eq!((&*version.lvm, version.driver.as_deref()), ("2.03.16(2) (2022-05-18)", Some("4.47.0")));
    }

    #[test]
    fn without_a_device_mapper_there_is_no_driver_and_without_an_lvm_nothing() {
        assert_eq!(read(&SAID.replace("4.47.0", "")).unwrap().driver, None);
        assert_eq!(read(&SAID.replace("LVM version", "")), None);
    }
}
