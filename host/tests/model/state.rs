//! Everything that matters between two steps of anybody, in a few machine words.

use guest_bridge::agent::{FreezeStatus, Heard, Question};
use guest_bridge::watchdog::Disarmed;

use crate::log::{Bits, Log};

/// Two filesystems of the guest, each on a disk of its own.
pub const FILESYSTEMS: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub guest: Guest,
    pub volumes: Volumes,
    /// The database's tables are locked.
    pub locked: bool,
    pub log: Log,
    pub coordinator: Coordinator,
    /// The guardian waits for the log's lock.
    pub guardian_waits: bool,
    pub recovery: Option<Recovery>,
    /// The host was started anew since the run began.
    pub rebooted: bool,
    pub window: Window,
    /// Faults that may still come.
    pub faults: u8,
}

/// The guest: its kernel, its agent, and its watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guest {
    /// Filesystems that the kernel holds frozen.
    pub frozen: u8,
    /// The agent believes them frozen, and runs no programs.
    pub believes: bool,
    /// The agent runs.
    pub up: bool,
    /// A command that is executed later, and how many others may be before it.
    pub late: Option<(Command, u8)>,
    /// The start of a watchdog that is executed later: a program of its own, which nobody waits for.
    pub arming: bool,
    /// A reply that nobody has read, in front of all others.
    pub stale: Option<Reply>,
    pub watchdog: Watchdog,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    Freeze,
    Thaw,
    Status,
    Arm,
    Disarm,
    EndSession,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    Count(u8),
    Status(FreezeStatus),
    /// A program ran.
    Ran,
    Disarmed(Disarmed),
    /// Refused: the agent believes the guest frozen.
    RefusedFrozen,
    /// The agent, or the program, says that it failed.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watchdog {
    Absent,
    Waiting,
    /// It thaws over and over.
    Acting,
    /// It has, and is gone by itself.
    Ended,
    /// It was disarmed, and nothing of its token is armed any more.
    Off(Disarmed),
}

/// The COW volumes of both disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Volumes {
    pub made: bool,
    /// How many are attached, in order.
    pub attached: u8,
    /// An origin was left suspended by an attach that was cut off.
    pub suspended: bool,
    /// Programs that were to attach have outlived the coordinator.
    pub orphans: bool,
}

/// What is true of the window, whatever anybody believes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Window {
    /// At some moment from before the first snapshot until after the last, not everything was frozen and locked.
    pub broken: bool,
    /// The bytes of the first disk show a freeze. Those of the second show one whether there is or not, as an XFS at rest.
    pub shows_freeze: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coordinator {
    pub at: At,
    /// A step has failed: only releases follow.
    pub failed: bool,
    /// Only what `Drop` does follows.
    pub panicked: bool,
    /// The watchdog is to be disarmed.
    pub has_watchdog: bool,
    /// The guest has said that it is armed.
    pub is_armed: bool,
    /// What the agent counted at the freeze.
    pub froze: u8,
    /// What came of the first thaw, where there was one.
    pub first: Option<Heard>,
    /// It was believed, and the agent is to be asked once more.
    pub believed: bool,
    /// What the thaws after it counted.
    pub count: Option<u64>,
    /// Thaw was repeated for as long as it may be.
    pub gave_up: bool,
    pub lock: LockSeen,
    pub watchdog: WatchdogSeen,
    /// A release is tried for the second time.
    pub again: bool,
}

/// What the coordinator does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    Guard,
    IntendVolumes,
    MakeVolumes,
    IntendWatchdog,
    Arm,
    IntendFreeze,
    IntendLock,
    MakeReady,
    Lock,
    Freeze,
    Attach,
    FirstThaw,
    Thaw(Question),
    LetGo,
    CloseSession,
    AskAgain,
    Disarm,
    Copy,
    Remove,
    Publish,
    Close,
    /// The process is gone.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockSeen {
    NotAsked,
    Held,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchdogSeen {
    None,
    Disarmed { verdict: Disarmed, is_armed: bool },
    NotTold,
}

/// A recovery: the guardian's, or of `recover`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recovery {
    pub by_guardian: bool,
    pub at: RecoveryAt,
    /// What is still to be given back.
    pub todo: Bits,
    pub left: Bits,
    /// Whether an origin is suspended could not be found out.
    pub unknown: bool,
    /// It is tried for the second time.
    pub again: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecoveryAt {
    Read,
    Resume,
    Release,
    Thaw(Question),
    Close,
}
