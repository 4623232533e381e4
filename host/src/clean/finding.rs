//! One thing that is stale: what it is, who holds it, how it is taken down, and what keeps this program from doing so.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lvm::programs::Invocation;
use lvm::{Bytes, LvName, Mapped, RunId, lvremove_command};

use super::processes::Process;
use super::run_of::RunState;

/// An unmount writes out what is dirty.
const UMOUNT: Duration = Duration::from_secs(120);
/// `--retry` tries for some seconds, in which udev lets go.
const UNMAP: Duration = Duration::from_secs(30);

/// Something stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The volume, where its name can be one.
    pub volume: Option<LvName>,
    /// Its name: `vg/lv`, else the one in device-mapper.
    pub name: String,
    /// What it is.
    pub what: What,
    /// Its UUID in device-mapper.
    pub uuid: String,
    /// What it is a snapshot of.
    pub origin: Option<String>,
    /// Its size; of a thick snapshot that of its COW.
    pub size: Option<Bytes>,
    /// How much of its COW is in use, and how much there is.
    pub cow: Option<(Bytes, Bytes)>,
    /// When it was made, in seconds since 1970.
    pub made: Option<u64>,
    /// The run of ours that it is of.
    pub run: Option<(RunId, RunState)>,
    /// What lies on it and who holds it, lowest first.
    pub on_top: Vec<OnTop>,
    /// How it is taken down, in this order.
    pub steps: Vec<Step>,
    /// Why this program leaves it alone.
    pub refusal: Option<Refusal>,
    /// What has to let go first, and is not for this program to end.
    pub in_the_way: Vec<String>,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A thick snapshot.
    Snapshot,
    /// A thick snapshot whose COW was full.
    InvalidSnapshot,
    /// A thin snapshot.
    ThinSnapshot,
    /// A volume of a run of ours that is no snapshot: a COW volume that was not attached.
    RunVolume,
    /// A volume that is no snapshot, with partitions mapped or loop devices over it.
    MappedVolume,
    /// Nodes in device-mapper of a volume that LVM has not.
    LeftoverNodes,
}

/// What lies on it, or holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnTop {
    /// A piece of it, mapped.
    Mapping {
        /// Its name in device-mapper.
        name: String,
        /// What it lies on.
        on: String,
    },
    /// A loop device over it.
    Loop {
        /// `loop0`.
        name: String,
        /// What it lies on.
        on: String,
    },
    /// A partition of a loop device.
    Partition {
        /// `loop0p1`.
        name: String,
        /// The loop device.
        on: String,
    },
    /// A device that is not for this program to take away: a volume of LVM, an array, an encrypted device.
    Device {
        /// Its name.
        name: String,
        /// What it lies on.
        on: String,
    },
    /// A mount.
    Mount {
        /// Where.
        mountpoint: PathBuf,
        /// The filesystem.
        fs_type: String,
        /// The device.
        on: String,
        /// A process of the mount namespace that it is in, where that is not ours.
        within: Option<Process>,
    },
    /// A process.
    Process {
        /// It.
        process: Process,
        /// The device that it has open, or the mountpoint below which it works.
        on: String,
    },
}

/// One step of a way down: what is taken away, with what tells it from another one of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Unmounts, neither lazily nor by force.
    Umount {
        /// The mount's id.
        id: u64,
        /// Where.
        mountpoint: PathBuf,
        /// The number of its device.
        number: String,
    },
    /// Detaches a loop device.
    Detach {
        /// `loop0`.
        name: String,
        /// What it is over, as the kernel has it.
        backing: String,
    },
    /// Removes a node of device-mapper, and nothing of what is on the disk.
    Unmap {
        /// The device.
        device: Box<Mapped>,
        /// The volume that LVM must not have, where the node is a leftover of it.
        leftover_of: Option<LvName>,
    },
    /// Removes a snapshot.
    Remove {
        /// Its name.
        name: LvName,
        /// Its UUID.
        lv_uuid: String,
    },
}

impl Step {
    /// Whether it takes away the very same thing. How full a snapshot is changes all the time.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unmap { device, leftover_of }, Self::Unmap { device: other, leftover_of: others }) => {
                device.is_same_as(other) && leftover_of == others
            }
            _ => self == other,
        }
    }

    /// The command that does it.
    #[must_use]
    pub fn command(&self) -> Invocation {
        match self {
            Self::Umount { mountpoint, .. } => {
                Invocation::new("umount", UMOUNT).arg("--no-canonicalize").arg(mountpoint.as_os_str())
            }
            Self::Detach { name, .. } => Invocation::new("losetup", UNMAP).arg("--detach").arg(format!("/dev/{name}")),
            Self::Unmap { device, .. } => Invocation::new("dmsetup", UNMAP).args(["remove", "--retry", &device.name]),
            Self::Remove { name, lv_uuid } => lvremove_command(name, lv_uuid),
        }
    }
}

/// Why this program leaves something alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A run of ours that lives needs it.
    Alive(RunId),
    /// A run of ours died: its log says how everything is given back.
    Dead(RunId),
    /// A run of ours of which nothing is known here.
    UnknownRun(RunId),
    /// It is being merged into its origin.
    Merging,
    /// It is thin, and that was not said.
    Thin,
    /// It is no snapshot.
    NotASnapshot,
    /// Its group is not one that LVM sees.
    UnseenGroup,
    /// Its name can be no volume's.
    NoName,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alive(run) => write!(f, "run {run} of stillpoint is alive, and needs it"),
            Self::Dead(run) => write!(f, "it is of run {run} of stillpoint, which died: `stillpoint recover` gives it back"),
            Self::UnknownRun(run) => write!(
                f,
                "it is of run {run} of stillpoint, whose log is not here: that run may be alive, with another --state-dir or on \
                 another host. If it is not, take it down by hand, in this order"
            ),
            Self::Merging => f.write_str("it is being merged into its origin: wait until that is done"),
            Self::Thin => f.write_str(
                "it is thin: a whole volume of its own, which costs its origin nothing and may be a guest's disk. --thin \
                 says that it is to go all the same",
            ),
            Self::NotASnapshot => f.write_str(
                "it is no snapshot. If it is a guest's disk that runs, what is mapped from it must not be mounted; what lies on \
                 it is taken down by hand, in this order",
            ),
            Self::UnseenGroup => f.write_str(
                "LVM sees no group that it is of: a disk may be missing, or filtered (lvm.conf, devices file), and it may be in use",
            ),
            Self::NoName => f.write_str("its name can be no volume's: take it down by hand, in this order"),
        }
    }
}
