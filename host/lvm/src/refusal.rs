//! Why a volume is no origin.

use thiserror::Error;

use super::NameError;

/// Why a volume cannot be backed up through a snapshot, now or ever.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoOrigin {
    /// A snapshot of a snapshot there is not.
    #[error("it is itself a snapshot, of {origin}")]
    Snapshot {
        /// What it is a snapshot of.
        origin: String,
    },
    /// A thin pool, which no guest has as its disk.
    #[error("it is a thin pool")]
    ThinPool,
    /// An image, log or metadata volume of another one.
    #[error("it is a part of another volume")]
    Part,
    /// `lvconvert --merge` is under way.
    #[error("a snapshot is being merged into it")]
    Merging,
    /// `pvmove` is under way.
    #[error("pvmove is at work on it")]
    Moving,
    /// Its writes hang, and so does its guest.
    #[error("it is suspended, so that its guest's disk hangs")]
    Suspended,
    /// It has no device.
    #[error("it is not active")]
    Inactive,
    /// LVM finds no device-mapper, or other tables in the kernel than its metadata asks for.
    #[error("LVM cannot tell in which state it is")]
    StateUnknown,
    /// It is not whole.
    #[error("a physical volume of it is missing")]
    PvMissing,
    /// LVM 2.03.16 fails when the snapshot is made, and so when the guest is frozen: "Check of pool ... failed".
    #[error("it is cached by a single volume (a cachevol), and LVM fails to make snapshots of such")]
    CacheVol,
    /// LVM refuses snapshots of it.
    #[error("it is RAID with integrity, of which LVM makes no snapshots")]
    Integrity,
    /// Its group is shared between hosts (lvmlockd(8)), where LVM makes no volume a snapshot.
    #[error("its volume group is shared between hosts (lock type `{lock_type}`), where LVM makes no such snapshots")]
    Shared {
        /// What keeps the hosts apart, in LVM's words: `sanlock`, `dlm`; may be empty.
        lock_type: String,
    },
    /// Its group belongs to another host (lvmsystemid(7)).
    #[error("its volume group belongs to another host: {said}")]
    Foreign {
        /// LVM's words, with both system IDs.
        said: String,
    },
    /// `vgchange --permission r`.
    #[error("its volume group is read-only, so that no COW volume can be made in it")]
    GroupReadOnly,
    /// A device of the group is missing, none of those that it lies on itself.
    #[error("a physical volume of its group is missing, and LVM makes no new volume in such a group")]
    GroupIncomplete,
    /// The group has as many volumes as it may have.
    #[error("its volume group has as many volumes as it may have (max_lv), and a COW volume is one more")]
    TooManyVolumes,
    /// lvm.conf(5) says so.
    #[error("activation/volume_list in this host's lvm.conf keeps new volumes of its group from being activated")]
    NoActivation,
    /// The COW volume beside it cannot be called what it has to be called.
    #[error("its COW volume cannot be named: {0}")]
    CowName(NameError),
}
