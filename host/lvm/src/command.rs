//! The LVM command lines, and the options that they share.

use std::time::Duration;

use super::{Lvm, LvmError};
use crate::programs::{Invocation, Output};

/// For commands outside the window. LVM waits for the lock of the group, and a busy host's `udevd` can be slow.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// Changes of ours are short-lived: they are neither archived in `/etc/lvm/archive` nor monitored by dmeventd, which would unmount on
/// an overflow.
pub(super) const QUIET: &str = "backup{archive=0} activation{monitoring=0}";

/// For what is read: an admin's lvm.conf can bend LVM's output until its JSON is none (`prefixes`, `prefix`, `command_names`) or says
/// something else (`list_item_separator`, `binary_values_as_numeric`). And reading makes no copy of the metadata below /etc/lvm, nor
/// says on stdout that there are many.
pub(super) const PLAIN: &str = "report{prefixes=0 quoted=1 headings=1 columns_as_rows=0 list_item_separator=\",\" binary_values_as_numeric=0} \
                                log{prefix=\"\" command_names=0 verbose=0} backup{backup=0 archive=0}";

impl Lvm {
    pub(super) fn run(&self, invocation: &Invocation) -> Result<Output, LvmError> {
        Ok(self.programs.run(invocation)?)
    }
}

/// The `--config` for the window: only the group's own devices are looked at, and nothing is written but the metadata itself.
/// With a filter that names every device, a devices file would only be another thing to read, and `scan_lvs` has nothing to find.
pub(super) fn fast_config(pvs: &[String]) -> String {
    let mut config = "backup{backup=0 archive=0} activation{monitoring=0}".to_owned();
    if !pvs.is_empty() && pvs.iter().all(|pv| is_plain(pv)) {
        let accept: Vec<String> =
            pvs.iter().map(|pv| format!("\"a|^{}$|\"", pv.replace('.', "[.]").replace('+', "[+]"))).collect();
        config.push_str(&format!(" devices{{use_devicesfile=0 filter=[{},\"r|.*|\"]}}", accept.join(",")));
    }
    config
}

/// Whether a device's name can stand in a filter's pattern; if not, the filter is left out, and the command is slower.
fn is_plain(pv: &str) -> bool {
    pv.starts_with("/dev/") && pv.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.:+=@".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_window_lvm_looks_at_the_groups_own_devices_only() {
        assert_eq!(
            fast_config(&["/dev/sda1".into(), "/dev/mapper/a.b".into()]),
            "backup{backup=0 archive=0} activation{monitoring=0} devices{use_devicesfile=0 \
             filter=[\"a|^/dev/sda1$|\",\"a|^/dev/mapper/a[.]b$|\",\"r|.*|\"]}"
        );
    }

    #[test]
    fn a_device_name_that_is_no_plain_pattern_turns_the_filter_off() {
        for odd in ["/dev/a|b", "/dev/a\"b", "[unknown]", "/dev/a(b"] {
            assert!(!fast_config(&[odd.into()]).contains("filter"), "{odd}");
        }
    }
}
