//! What LVM's programs complain about: they have one exit code for everything, and words for what is wrong with the host.

use std::io;

use crate::programs::ProgramError;

/// What a program says is wrong with this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    /// Not for this user.
    NotPermitted,
    /// Another command holds the lock of the group, or of all groups.
    Locked,
    /// The folder of the locks cannot be made or written to.
    NoLockFolder,
    /// The kernel has no device-mapper, or this container is shown none.
    NoDeviceMapper,
}

/// The words of LVM 2.03.16. The first that fits counts: without rights LVM complains about its locks as well.
const WORDS: [(&str, Complaint); 7] = [
    ("Permission denied", Complaint::NotPermitted),
    ("Operation not permitted", Complaint::NotPermitted),
    ("locking initialisation failed", Complaint::NoLockFolder),
    ("device-mapper driver", Complaint::NoDeviceMapper),
    ("/dev/mapper/control", Complaint::NoDeviceMapper),
    ("waiting for lock", Complaint::Locked),
    ("Can't get lock", Complaint::Locked),
];

impl Complaint {
    /// What a failed program complained about, where its words are known.
    #[must_use]
    pub fn of(error: &ProgramError) -> Option<Self> {
        match error {
            ProgramError::Missing { .. } => None,
            ProgramError::Start { cause, .. } => {
                (cause.kind() == io::ErrorKind::PermissionDenied).then_some(Self::NotPermitted)
            }
            ProgramError::Failed { said, .. }
            | ProgramError::Signalled { said, .. }
            | ProgramError::TimedOut { said, .. } => {
                WORDS.iter().find(|(words, _)| said.contains(words)).map(|(_, complaint)| *complaint)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &str) -> Option<Complaint> {
        let said = said.to_owned();
        Complaint::of(&ProgramError::Failed { command: "lvs vg".to_owned(), exit_code: 5, said })
    }

    // What LVM 2.03.16 said when these were done to it.
    #[test]
    fn what_lvm_says_of_the_host_is_understood() {
        let denied = "WARNING: Running as a non-root user. Functionality may be unavailable.; /run/lock/lvm/V_vg:aux: open \
                      failed: Permission denied; Can't get lock for vg.; Cannot process volume group vg";
        assert_eq!(of(denied), Some(Complaint::NotPermitted));
        let locked = "/run/lock/lvm/V_vg: flock failed: Resource temporarily unavailable; Can't get lock for vg.";
        assert_eq!(of(locked), Some(Complaint::Locked));
        assert_eq!(of("Interrupted...; Giving up waiting for lock.; Can't get lock for vg."), Some(Complaint::Locked));
        assert_eq!(of("File locking initialisation failed."), Some(Complaint::NoLockFolder));
        let no_driver = "/dev/mapper/control: open failed: No such device; Failure to communicate with kernel \
                         device-mapper driver.; Check that device-mapper is available in the kernel.";
        assert_eq!(of(no_driver), Some(Complaint::NoDeviceMapper));
    }

    #[test]
    fn other_words_are_no_complaint_about_the_host() {
        assert_eq!(of("Volume group \"vg\" not found; Cannot process volume group vg"), None);
    }

    #[test]
    fn a_command_that_was_ended_while_it_waited_for_a_lock_says_so() {
        let said = "Interrupted...; Giving up waiting for lock.".to_owned();
        let deadline = std::time::Duration::from_secs(60);
        let error = ProgramError::TimedOut { command: "lvs vg".to_owned(), deadline, gone: true, said };
        assert_eq!(Complaint::of(&error), Some(Complaint::Locked));
    }
}
