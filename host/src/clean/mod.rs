//! What is stale on this host and not ours: snapshots that somebody forgot, what was mapped and mounted on top of them, nodes that
//! LVM knows nothing of. Who holds each of them, and how it is taken down, from the top to the bottom.
//!
//! [`look`] reads what is there, [`find`](find::find) makes findings of it, with the steps in their order, and
//! [`carry_out`] takes those steps for the findings that a person has named. No process is ended here, and no mount
//! detached by force: what is in the way is named.

mod act;
mod base;
mod blocks;
mod choose;
pub mod find;
pub mod finding;
mod hindrance;
mod look;
mod mounts;
mod processes;
mod recheck;
#[cfg(test)]
mod recorded;
mod report;
mod roots;
mod run_of;
pub mod seen;
mod steps;
mod tree;

use std::path::PathBuf;
use std::sync::Arc;

use lvm::Lvm;
use lvm::programs::Programs;

pub use self::act::{Done, Outcome, carry_out};
pub use self::choose::choose;
pub use self::look::look;
pub use self::report::{listing, report};
pub use self::roots::Roots;

/// What a clean-up reaches through.
#[derive(Clone)]
pub struct Reach {
    /// This host's LVM and device-mapper.
    pub lvm: Lvm,
    /// This host's programs: `umount` and `losetup`.
    pub programs: Arc<dyn Programs>,
    /// Where the kernel's files are.
    pub roots: Roots,
    /// Where the logs of our own runs are.
    pub state_dir: PathBuf,
}
