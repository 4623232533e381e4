//! What can go wrong with LVM.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::{Bytes, Holder, LvName, NoOrigin, SnapshotState};
use crate::programs::ProgramError;

/// Why something could not be done with a logical volume.
#[derive(Debug, Error)]
pub enum LvmError {
    /// A program could not do its work.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// No such volume group on this host.
    #[error("there is no volume group {vg}{}", did_you_mean(near))]
    NoSuchVg {
        /// The group.
        vg: String,
        /// Groups that there are, nearest name first.
        near: Vec<String>,
    },
    /// No such volume in the group.
    #[error("there is no logical volume {name}{}", did_you_mean(near))]
    NoSuchLv {
        /// The volume.
        name: LvName,
        /// Volumes that there are, nearest name first.
        near: Vec<String>,
    },
    /// The volume cannot be the origin of a snapshot.
    #[error("{name} cannot be backed up through a snapshot: {why}")]
    NotAnOrigin {
        /// The volume.
        name: LvName,
        /// Why.
        why: NoOrigin,
    },
    /// The group has no room for the COW.
    #[error("volume group {vg} has no room for a COW volume of {needed}: {free} free, {} missing", Bytes(needed.0.saturating_sub(free.0)))]
    NoRoom {
        /// The group.
        vg: String,
        /// What the COW needs, in whole extents.
        needed: Bytes,
        /// What is free.
        free: Bytes,
    },
    /// LVM answered something that this program does not understand.
    #[error("cannot read the answer of `{command}`: {why}")]
    Answer {
        /// The command line.
        command: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// The device node did not appear.
    #[error("{path} did not appear within {waited:?}")]
    NoDevice {
        /// The node.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// Somebody else had the lock of the group all the time.
    #[error("the lock of volume group {vg} could not be had within {waited:?}: {}", locked_by(holders))]
    GroupLocked {
        /// The group.
        vg: String,
        /// How long it was tried.
        waited: Duration,
        /// Who held it at the end, as far as could be found out.
        holders: Vec<Holder>,
    },
    /// A snapshot was to be made ready, and its `lvconvert` did not come to the lock of its group.
    #[error(
        "the `lvconvert` for {snapshot} was not ready within {waited:?}: it did not come to the lock of its volume group"
    )]
    NotReady {
        /// The snapshot.
        snapshot: LvName,
        /// How long was waited.
        waited: Duration,
    },
    /// The lock of the group is held, and keeps nobody out any more.
    #[error("somebody replaced the lock file of volume group {vg} while it was locked, which LVM itself does not")]
    LockReplaced {
        /// The group.
        vg: String,
    },
    /// A snapshot was to be made ready, and was taken: somebody replaced the lock file that was to hold its `lvconvert` up.
    #[error("the snapshot {snapshot} was taken before its moment: somebody replaced the lock file of its volume group")]
    TooEarly {
        /// The snapshot.
        snapshot: LvName,
    },
    /// The time in which all snapshots have to be taken was over before this one's turn.
    #[error("no time was left to take the snapshot {snapshot}")]
    NoTimeLeft {
        /// The snapshot.
        snapshot: LvName,
    },
    /// Of several snapshots not all could be taken. None of them is good for anything.
    #[error("{cause}; {} may exist, and should be removed", names(may_exist))]
    NotAttached {
        /// Those that may exist.
        may_exist: Vec<LvName>,
        /// What went wrong.
        cause: Box<LvmError>,
    },
    /// An LVM command failed, and after it the origin is suspended or may be: the guest's writes hang. A person is needed now.
    #[error(
        "{origin} MAY BE SUSPENDED, and then its guest's disk hangs: {cause}; resuming it failed: {resume}; try `lvchange --refresh {origin}`, then {}",
        resume_by_hand(devices)
    )]
    Suspended {
        /// The origin.
        origin: LvName,
        /// The suspended devices, by dm name, each after those that it lies on. Empty where they are unknown.
        devices: Vec<String>,
        /// What went wrong first.
        cause: String,
        /// Why it could not be resumed.
        resume: Box<LvmError>,
    },
    /// The snapshot is not there any more, and its COW was not what ended it.
    #[error(
        "the snapshot {name} is gone ({state:?} in device-mapper): something else on this host removed, merged or replaced it"
    )]
    SnapshotGone {
        /// The snapshot.
        name: LvName,
        /// What device-mapper says in its place.
        state: SnapshotState,
    },
    /// The volume is in use.
    #[error("cannot remove {name}: {cause}; {}", held_by(holders))]
    Busy {
        /// The volume.
        name: LvName,
        /// Who holds it, as far as could be found out.
        holders: Vec<Holder>,
        /// What lvremove said.
        cause: Box<ProgramError>,
    },
    /// Another volume has the name, or it is a snapshot no more.
    #[error("{0} is not the snapshot any more that it was: it is left alone")]
    Replaced(LvName),
    /// The volume was not made by this program.
    #[error("{0} was not made by stillpoint (no tag or another name): it is left alone")]
    NotOurs(LvName),
}

fn did_you_mean(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(", ")),
    }
}

fn held_by(holders: &[Holder]) -> String {
    match holders {
        [] => "nobody was found that holds it (a transient open, or a process in another mount namespace)".to_owned(),
        holders => format!("held by {}", holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn locked_by(holders: &[Holder]) -> String {
    match holders {
        [] => {
            "nobody was seen holding it (a process in another PID namespace, or one that let go just then)".to_owned()
        }
        holders => format!("held by {}", holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn names(names: &[LvName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn resume_by_hand(devices: &[String]) -> String {
    match devices {
        [] => "`dmsetup resume` for each device that `dmsetup info -c` shows as suspended, what lies lowest first"
            .to_owned(),
        [device] => format!("`dmsetup resume {device}`"),
        devices => {
            let commands: Vec<String> = devices.iter().map(|device| format!("`dmsetup resume {device}`")).collect();
            format!("in this order {}", commands.join(", "))
        }
    }
}
