//! What this host's lvm.conf(5) has LVM do by itself: with snapshots that are filling up, and with volumes that guests have.

use super::command::{DEADLINE, PLAIN};
use super::{Lvm, LvmError};
use crate::programs::Invocation;

/// What dmeventd does with snapshots that it monitors. Ours are made with `activation/monitoring` off: it has nothing to do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Monitoring {
    /// `activation/monitoring`: whether snapshots are monitored at all.
    pub is_on: bool,
    /// `activation/snapshot_autoextend_threshold`, in percent: how full one is when it is extended. 100: never.
    pub threshold_percent: u32,
}

impl Lvm {
    /// What dmeventd does with snapshots.
    pub fn monitoring(&self) -> Result<Monitoring, LvmError> {
        let (on, threshold) = ("activation/monitoring", "activation/snapshot_autoextend_threshold");
        let [is_on, threshold_percent] = self.numbers([on, threshold])?;
        Ok(Monitoring { is_on: is_on != 0, threshold_percent })
    }

    /// `devices/scan_lvs`: whether LVM looks for groups inside of this host's volumes, and so takes those of guests for its own.
    pub fn scans_volumes(&self) -> Result<bool, LvmError> {
        let [scans] = self.numbers(["devices/scan_lvs"])?;
        Ok(scans != 0)
    }

    fn numbers<const N: usize>(&self, names: [&str; N]) -> Result<[u32; N], LvmError> {
        let invocation = Invocation::new("lvmconfig", DEADLINE).args(["--config", PLAIN, "--type", "full"]).args(names);
        let said = self.run(&invocation)?.stdout;
        let said = String::from_utf8_lossy(&said);
        let mut numbers = [0; N];
        for (number, name) in numbers.iter_mut().zip(names) {
            *number = read(&said, name.rsplit('/').next().unwrap_or(name))
                .map_err(|why| LvmError::Answer { command: invocation.to_string(), why })?;
        }
        Ok(numbers)
    }
}

/// `monitoring=1` and the others, each on a line.
fn read(said: &str, name: &str) -> Result<u32, String> {
    let value = said.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
    let value = value.ok_or_else(|| format!("it says nothing of {name}"))?;
    value.parse().map_err(|_| format!("{name} is `{}`, which is no number", value.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_read_as_lvmconfig_prints_it() {
        // As lvmconfig of LVM 2.03.16 prints it.
        let said = "monitoring=1\nsnapshot_autoextend_threshold=100\n";
        assert_eq!((read(said, "monitoring"), read(said, "snapshot_autoextend_threshold")), (Ok(1), Ok(100)));
    }

    #[test]
    fn a_setting_that_is_missing_or_no_number_is_not_taken_for_the_usual_one() {
        assert!(read("monitoring=1", "scan_lvs").unwrap_err().contains("nothing of scan_lvs"));
        assert!(read("scan_lvs=\"yes\"", "scan_lvs").unwrap_err().contains("no number"));
    }
}
