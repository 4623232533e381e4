//! The kinds of causes, which scripts and tests match on instead of on prose.

use std::fmt;

use serde::Serialize;

/// Makes the list of all kinds, and what each means, out of their documentation.
macro_rules! kinds {
    ($($(#[doc = $means:literal])+ $kind:ident = $name:literal,)+) => {
        /// What kind of cause ended a command. Its exit code and hint: `docs/exit-codes.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Failed"))]
        pub enum Kind {
            $($(#[doc = $means])+ #[serde(rename = $name)] $kind,)+
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// Its name, in the JSON document too. It stays what it is.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn means(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!($($means),+).trim_ascii(),)+
                }
            }
        }
    };
}

kinds! {
    /// The command line or the configuration asks for what cannot be.
    Usage = "usage",
    /// The configuration file cannot be read.
    Configuration = "configuration",
    /// What the command line names as a disk is none.
    NoSuchDisk = "no-such-disk",
    /// There is no such volume group.
    NoSuchVg = "no-such-vg",
    /// There is no such logical volume.
    NoSuchLv = "no-such-lv",
    /// The logical volume is of a kind that cannot be backed up.
    NotAnOrigin = "not-an-origin",
    /// The agent's socket is another one.
    WrongSocket = "wrong-socket",
    /// The database's credentials cannot be read, or may not be used.
    Credentials = "credentials",
    /// The database refuses the account.
    AccessDenied = "access-denied",
    /// Nothing can be made where artifacts should go.
    Target = "target",
    /// The name of the artifact is taken.
    TargetTaken = "target-taken",
    /// What is named is nothing that `clean` takes down.
    NotForClean = "not-for-clean",

    /// Host, guest, database or disk are in no state for it.
    Refused = "refused",
    /// It needs rights that the user has not.
    NotPermitted = "not-permitted",
    /// A program is not installed.
    ProgramMissing = "program-missing",
    /// A program failed.
    ProgramFailed = "program-failed",
    /// A program did not end in time.
    ProgramTimeout = "program-timeout",
    /// Another command holds LVM's lock.
    LvmLocked = "lvm-locked",
    /// LVM has no place for its locks.
    LvmLockFolder = "lvm-lock-folder",
    /// LVM answered something that is not understood.
    LvmAnswer = "lvm-answer",
    /// The kernel has no device-mapper.
    NoDeviceMapper = "no-device-mapper",
    /// A device node is missing.
    NoDeviceNode = "no-device-node",
    /// The logical volume cannot be backed up in the state that it is in.
    OriginNotReady = "origin-not-ready",
    /// The volume group has no room for the COW.
    NoRoom = "no-room",
    /// The COW filled up, and the snapshot is lost.
    CowFull = "cow-full",
    /// A snapshot would be lost before its disk is copied, by the forecast or by how its COW fills meanwhile.
    SnapshotWouldNotLast = "snapshot-would-not-last",
    /// The snapshot is gone, and its COW was not what ended it.
    SnapshotGone = "snapshot-gone",
    /// The run log cannot be written, and nothing is taken without it.
    RunLog = "run-log",
    /// Another backup of the same VM, or of the same origin, is under way.
    AlreadyRunning = "already-running",
    /// A disk or an image cannot be read.
    Unreadable = "unreadable",
    /// The file is no artifact, or a damaged one.
    NotAnArtifact = "not-an-artifact",
    /// A file inside of a volume cannot be shown or copied.
    File = "file",
    /// The target has no room left.
    TargetFull = "target-full",
    /// The reader of the stream went away.
    TargetClosed = "target-closed",
    /// The target failed.
    TargetFailed = "target-failed",
    /// The guest agent cannot be reached.
    AgentUnreachable = "agent-unreachable",
    /// The guest agent got a command and gave no answer.
    AgentSilent = "agent-silent",
    /// The guest agent answered something that is not understood.
    AgentAnswer = "agent-answer",
    /// The guest agent does not offer a command.
    AgentCommand = "agent-command",
    /// A command of the guest agent failed in the guest.
    AgentFailed = "agent-failed",
    /// The VM ended, or was moved to another host, while it was frozen.
    VmGone = "vm-gone",
    /// A program in the guest did not end as it should.
    GuestProgram = "guest-program",
    /// The database cannot be reached.
    DatabaseUnreachable = "database-unreachable",
    /// The database refused a statement.
    DatabaseRefused = "database-refused",
    /// The database gave no answer in time.
    DatabaseSilent = "database-silent",
    /// The session with the database ended early.
    DatabaseLost = "database-lost",
    /// The database answered something that is not understood.
    DatabaseAnswer = "database-answer",
    /// This way to the database does not exist in the guest.
    DatabaseWay = "database-way",
    /// The database failed in another way.
    Database = "database",
    /// The database did not grant the lock in time.
    LockNotGranted = "lock-not-granted",
    /// No dump can be made in the guest.
    DumpImpossible = "dump-impossible",
    /// A dump is not whole; nothing of it is kept.
    DumpNotWhole = "dump-not-whole",
    /// A signal ended the run.
    Stopped = "stopped",
    /// A bug of stillpoint ended a command that takes nothing, or a step that gave back what it took.
    Bug = "bug",

    /// What is to be read is damaged.
    Damaged = "damaged",

    /// The guest was found frozen, by someone else or by a run that died.
    GuestFrozen = "guest-frozen",
    /// The guest could not be thawed for sure.
    GuestMayBeFrozen = "guest-may-be-frozen",
    /// The guest's disk is suspended, and hangs.
    OriginSuspended = "origin-suspended",
    /// Volumes of the run could not be removed.
    VolumesLeft = "volumes-left",
    /// A bug of stillpoint ended a run that may have held something.
    RunBroken = "run-broken",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
