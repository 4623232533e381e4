//! The steps of a backup, by the names that logs, errors and tests use.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step of the recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Putting command line and configuration together.
    Job,
    /// Looking at host, guest and database; changes nothing.
    Survey,
    /// Deciding; pure.
    Plan,
    /// Creating the artifact's files under temporary names.
    Output,
    /// Creating and wiping the COW volumes.
    CowVolumes,
    /// Letting the guest write out its dirty pages, so that the freeze is short.
    GuestSync,
    /// Writing a marker onto each of the guest's filesystems.
    Mark,
    /// Arming a watchdog in the guest.
    Arm,
    /// Locking the tables.
    Lock,
    /// Freezing the guest's filesystems.
    Freeze,
    /// Attaching the COW volumes: the snapshot instant.
    Snapshot,
    /// Thawing the guest's filesystems.
    Thaw,
    /// Asking whether the lock outlasted the snapshot.
    StillLocked,
    /// Releasing the tables.
    Unlock,
    /// Disarming the watchdog.
    Disarm,
    /// Removing the markers, and asking where the database's files lie.
    Unmark,
    /// Reading the proof from the snapshots.
    Evidence,
    /// Copying the snapshots.
    Copy,
    /// Streaming a dump of the database out of the guest.
    Dump,
    /// Removing the snapshots.
    Remove,
    /// Publishing artifact and receipt.
    Publish,
    /// Giving back what a run left that died.
    Recover,
    /// Looking for what is stale on the host, and taking it down.
    Clean,
    /// Looking at a disk, outside of a backup.
    Check,
    /// Reading files of a filesystem.
    Files,
    /// Wherever a bug of ours ended it; or, read from a run log, a newer program's step.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Job => "job",
            Self::Survey => "survey",
            Self::Plan => "plan",
            Self::Output => "output",
            Self::CowVolumes => "cow-volumes",
            Self::GuestSync => "guest-sync",
            Self::Mark => "mark",
            Self::Arm => "arm",
            Self::Lock => "lock",
            Self::Freeze => "freeze",
            Self::Snapshot => "snapshot",
            Self::Thaw => "thaw",
            Self::StillLocked => "still-locked",
            Self::Unlock => "unlock",
            Self::Disarm => "disarm",
            Self::Unmark => "unmark",
            Self::Evidence => "evidence",
            Self::Copy => "copy",
            Self::Dump => "dump",
            Self::Remove => "remove",
            Self::Publish => "publish",
            Self::Recover => "recover",
            Self::Clean => "clean",
            Self::Check => "check",
            Self::Files => "files",
            Self::Unknown => "unknown",
        })
    }
}
