//! Where LVM's locks are on this host, by its lvm.conf(5).

use std::path::PathBuf;
use std::time::Duration;

use super::Lvm;
use super::command::PLAIN;
use crate::programs::Invocation;

/// `locking_type`s with which LVM 2.03.16 locks nothing, or changes nothing (`tools/lvmcmdline.c`); all others are locks in files.
const NO_FILES: [&str; 3] = ["0", "4", "5"];

impl Lvm {
    /// The folder of the locks.
    ///
    /// # Errors
    /// Why a lock that is held there would not make LVM wait, or that it is unknown.
    pub(super) fn lock_folder(&self, deadline: Duration) -> Result<PathBuf, String> {
        let invocation = Invocation::new("lvmconfig", deadline).args([
            "--config",
            PLAIN,
            "--type",
            "full",
            "global/locking_dir",
            "global/wait_for_locks",
            "global/locking_type",
        ]);
        let output = self.programs.run(&invocation).map_err(|error| error.to_string())?;
        read(&String::from_utf8_lossy(&output.stdout))
    }
}

/// `locking_dir="/run/lock/lvm"` and the other settings, each on a line.
fn read(said: &str) -> Result<PathBuf, String> {
    let setting = |name: &str| {
        said.lines()
            .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"'))
    };
    match setting("wait_for_locks") {
        Some("1") => {}
        Some(_) => return Err("global/wait_for_locks is off in this host's lvm.conf".to_owned()),
        None => return Err("lvmconfig says nothing of global/wait_for_locks".to_owned()),
    }
    if setting("locking_type").is_some_and(|kind| NO_FILES.contains(&kind)) {
        return Err("global/locking_type in this host's lvm.conf turns locks off".to_owned());
    }
    let folder = setting("locking_dir").ok_or("lvmconfig says nothing of global/locking_dir")?;
    if !folder.starts_with('/') || folder.contains('\\') {
        return Err(format!("global/locking_dir in this host's lvm.conf is `{}`", folder.escape_debug()));
    }
    Ok(folder.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    // As lvmconfig of LVM 2.03.16 prints it.
    const SAID: &str = "locking_dir=\"/run/lock/lvm\"\nwait_for_locks=1\nlocking_type=1\n";

    #[test]
    fn the_folder_is_what_lvm_says() {
        assert_eq!(read(SAID), Ok("/run/lock/lvm".into()));
    }

    #[test]
    fn a_newer_lvm_need_not_know_the_type_of_locks() {
        assert_eq!(read(&SAID.replace("locking_type=1\n", "")), Ok("/run/lock/lvm".into()));
    }

    #[test]
    fn where_lvm_would_not_wait_for_us_it_is_said_why() {
        for (from, to, why) in [
            ("wait_for_locks=1", "wait_for_locks=0", "wait_for_locks is off"),
            ("wait_for_locks=1", "", "says nothing of global/wait_for_locks"),
            ("locking_type=1", "locking_type=0", "locking_type"),
            ("locking_type=1", "locking_type=4", "locking_type"),
            ("locking_dir=\"/run/lock/lvm\"", "", "says nothing of global/locking_dir"),
            ("/run/lock/lvm", "lock", "is `lock`"),
            ("/run/lock/lvm", "/run/a\\\"b", "is `/run"),
        ] {
            let said = read(&SAID.replace(from, to)).unwrap_err();
            assert!(said.contains(why), "{to}: {said}");
        }
    }
}
