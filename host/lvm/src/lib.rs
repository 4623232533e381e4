//! Logical volumes and their snapshots, through LVM's own programs.
//!
//! The order that keeps the guest's window short: [`Lvm::origin`] surveys, [`Lvm::create_cow`] makes and wipes the COW volume
//! before anything is locked, [`Lvm::make_ready`] has the snapshots a moment away, [`Ready::attach`] is all that happens inside the
//! window, [`SnapshotVolume::wait_for_device`] and everything else come after it. [`Lvm::remove`]
//! takes away, by its name, what this program made, and nothing else. [`Lvm::inventory`]
//! and [`Lvm::mapped`] look at everything, and [`Lvm::remove_snapshot`] takes away what a person has named.
//!
//! All calls block the thread.

mod answer;
mod command;
mod complaint;
mod convert;
mod cow;
mod dm_control;
mod dm_tree;
mod error;
mod extend;
mod group;
mod group_lock;
mod habits;
mod holders;
mod inventory;
mod lock_config;
mod lock_file;
mod lock_holders;
mod mapped;
mod name;
mod opens;
mod origin;
mod owned;
mod pool_state;
pub mod programs;
mod ready;
mod refusal;
mod remove;
mod report;
#[cfg(any(test, feature = "scripted"))]
pub mod simulated;
mod size;
mod snapshot;
mod snapshot_state;
mod status;
mod suspended;
mod version;
mod volume_list;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::programs::Programs;

pub use self::complaint::Complaint;
pub use self::cow::CowVolume;
pub use self::dm_control::DmStatus;
pub use self::error::LvmError;
pub use self::group::VolumeGroup;
pub use self::habits::Monitoring;
pub use self::holders::Holder;
pub use self::inventory::{Inventory, Unseen, Volume};
pub use self::mapped::Mapped;
pub use self::name::{LvName, NameError};
pub use self::origin::{ExistingSnapshot, Origin};
pub use self::owned::{RunId, RunIdError};
pub use self::pool_state::{PoolMode, PoolState};
pub use self::ready::Ready;
pub use self::refusal::NoOrigin;
pub use self::remove::lvremove_command;
pub use self::size::{Bytes, Sectors};
pub use self::snapshot::SnapshotVolume;
pub use self::snapshot_state::{SnapshotState, snapshot_state_of};
pub use self::version::LvmVersion;

/// LVM on this host.
#[derive(Clone)]
pub struct Lvm {
    programs: Arc<dyn Programs>,
    dev: PathBuf,
    /// COW volumes whose attach may have ended half way, and their origins.
    half_attached: Arc<Mutex<BTreeMap<LvName, LvName>>>,
}

impl Lvm {
    /// LVM through these programs, its device nodes in `/dev`.
    #[must_use]
    pub fn new(programs: Arc<dyn Programs>) -> Self {
        Self::with_device_dir(programs, "/dev")
    }

    /// LVM whose device nodes are in another folder: what a simulated one needs.
    #[must_use]
    pub fn with_device_dir(programs: Arc<dyn Programs>, dev: impl Into<PathBuf>) -> Self {
        Self { programs, dev: dev.into(), half_attached: Arc::default() }
    }

    /// Where the device node of a volume is, or will be.
    #[must_use]
    pub fn device_path(&self, name: &LvName) -> PathBuf {
        self.dev.join(name.vg()).join(name.lv())
    }
}

impl std::fmt::Debug for Lvm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lvm").field("dev", &self.dev).finish_non_exhaustive()
    }
}
