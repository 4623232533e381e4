//! Who else has a volume open, by device-mapper's own count.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::holders::{entries, is_open_on};
use super::{LvName, Lvm, LvmError};
use crate::programs::Invocation;

/// An ioctl.
const LOOK: Duration = Duration::from_secs(5);

impl Lvm {
    /// How often a volume is open, this process not counted: a guest that runs has each of its disks open. Asks the kernel and no disk, so
    /// that nothing of LVM's can hang it.
    pub fn opens_elsewhere(&self, name: &LvName) -> Result<u64, LvmError> {
        let look = Invocation::new("dmsetup", LOOK).args(["info", "--columns", "--noheadings", "--options", "open"]);
        let look = look.arg(name.dm_name());
        let output = self.programs.run(&look)?;
        let said = String::from_utf8_lossy(&output.stdout);
        let why = || format!("`{}` is no number of opens", said.escape_debug());
        let all: u64 = said.trim().parse().map_err(|_| LvmError::Answer { command: look.to_string(), why: why() })?;
        Ok(all.saturating_sub(own_opens(&self.device_path(name))))
    }
}

/// Open files of this process on a device.
fn own_opens(node: &Path) -> u64 {
    let Ok(node) = fs::metadata(node) else { return 0 };
    entries(Path::new("/proc/self/fd")).iter().filter(|fd| is_open_on(fd, node.rdev())).count() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::programs::{Reply, ScriptedPrograms};

    fn opens(said: &str) -> Result<u64, LvmError> {
        let command = "dmsetup info --columns --noheadings --options open vg-db--data";
        let script = ScriptedPrograms::new(drop).expect(command, Reply::Prints(said.to_owned()));
        Lvm::new(Arc::new(script)).opens_elsewhere(&LvName::new("vg", "db-data").unwrap())
    }

    #[test]
    fn the_kernel_counts() {
        assert_eq!(opens("    1\n").unwrap(), 1);
        assert_eq!(opens("0\n").unwrap(), 0);
    }

    #[test]
    fn what_is_no_number_is_not_taken_for_none() {
        assert!(matches!(opens(""), Err(LvmError::Answer { .. })));
        assert!(matches!(opens("Device does not exist.\n"), Err(LvmError::Answer { .. })));
    }
}
