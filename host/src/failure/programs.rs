//! What it means that a program of this host failed, and what helps.

use lvm::Complaint;
use lvm::programs::ProgramError;

use super::kind::Kind;

/// The kind, and a hint where more is known than of every error of that kind.
pub(super) fn judge(error: &ProgramError) -> (Kind, Option<String>) {
    if let Some(complaint) = Complaint::of(error) {
        return (complained(complaint), None);
    }
    match error {
        ProgramError::Missing { package, .. } => {
            let hint = package.map(|package| {
                format!("Debian and Ubuntu have it in the package {package}: `apt-get install {package}`")
            });
            (Kind::ProgramMissing, hint)
        }
        ProgramError::Start { .. } => {
            let hint = "has the host room for another process: `free -m`, `ulimit -u`, `systemctl show -p TasksMax`?";
            (Kind::ProgramFailed, Some(hint.to_owned()))
        }
        ProgramError::Failed { .. } => (Kind::ProgramFailed, None),
        ProgramError::Signalled { .. } => {
            (Kind::ProgramFailed, Some("`dmesg` says whether the kernel ended it for want of memory".to_owned()))
        }
        ProgramError::TimedOut { gone: true, .. } => (
            Kind::ProgramTimeout,
            Some(
                "it waited for a lock (`lslocks` shows who has those in /run/lock/lvm), for udev, or for a disk that does \
                 not answer (`dmesg`)"
                    .to_owned(),
            ),
        ),
        ProgramError::TimedOut { gone: false, .. } => (
            Kind::ProgramTimeout,
            Some("a disk does not answer: `dmesg`, and `dmsetup info -c` shows whether a device is suspended".to_owned()),
        ),
    }
}

fn complained(complaint: Complaint) -> Kind {
    match complaint {
        Complaint::NotPermitted => Kind::NotPermitted,
        Complaint::Locked => Kind::LvmLocked,
        Complaint::NoLockFolder => Kind::LvmLockFolder,
        Complaint::NoDeviceMapper => Kind::NoDeviceMapper,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;
    use crate::failure::table::row;

    #[track_caller]
    fn expect(error: &ProgramError, kind: Kind, hint: &str) {
        let (judged, own) = judge(error);
        assert_eq!(judged, kind, "{error}");
        let said = own.as_deref().unwrap_or(row(judged, false).hint);
        assert!(said.contains(hint), "{error}: {said}");
    }

    fn failed(said: &str) -> ProgramError {
        ProgramError::Failed { command: "lvs vg".into(), exit_code: 5, said: said.into() }
    }

    #[test]
    fn what_lvm_complains_about_has_a_kind_and_what_helps() {
        expect(&failed("open failed: Permission denied"), Kind::NotPermitted, "as root");
        expect(&failed("Can't get lock for vg."), Kind::LvmLocked, "lslocks");
        expect(&failed("File locking initialisation failed."), Kind::LvmLockFolder, "/run/lock/lvm");
        expect(&failed("/dev/mapper/control: open failed: No such device"), Kind::NoDeviceMapper, "modprobe dm_mod");
        expect(&failed("Volume is broken"), Kind::ProgramFailed, "by hand");
    }

    #[test]
    fn a_program_that_cannot_run_has_what_helps() {
        let missing = |package| ProgramError::Missing { program: "lvs".into(), package };
        expect(&missing(Some("lvm2")), Kind::ProgramMissing, "apt-get install lvm2");
        expect(&missing(None), Kind::ProgramMissing, "PATH");
        let start = |kind: io::ErrorKind| ProgramError::Start { command: "lvs".into(), cause: kind.into() };
        expect(&start(io::ErrorKind::OutOfMemory), Kind::ProgramFailed, "free -m");
        expect(&start(io::ErrorKind::PermissionDenied), Kind::NotPermitted, "as root");
    }

    #[test]
    fn a_program_that_does_not_end_has_what_helps() {
        let timed_out = |gone| ProgramError::TimedOut {
            command: "lvs".into(),
            deadline: Duration::from_secs(60),
            gone,
            said: "(it said nothing)".into(),
        };
        expect(&timed_out(true), Kind::ProgramTimeout, "lslocks");
        expect(&timed_out(false), Kind::ProgramTimeout, "dmsetup info");
        let killed = ProgramError::Signalled { command: "lvs".into(), signal: 9, said: String::new() };
        expect(&killed, Kind::ProgramFailed, "memory");
    }
}
