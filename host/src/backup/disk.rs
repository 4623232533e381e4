//! One disk on its way through a backup. Each stage takes it and gives it on, with what is known of it then.

use fsprobe::{Disk as Layout, Kind, Report};
use image::copy::Copied as Copy;
use image::device::Device;
use lvm::{CowVolume, LvName, Origin};

use super::cow_plan::CowPlan;
use super::output::Image;
use crate::cow::attached::Attached;
use crate::cow::curve::CowCurve;

/// A disk, planned, with its artifact in the making, and what has become of it so far.
#[derive(Debug)]
pub struct Disk<Stage> {
    /// What was decided for it.
    pub plan: DiskPlan,
    /// Its artifact.
    pub image: Image,
    /// How far it is.
    pub stage: Stage,
}

/// What was decided for one disk.
#[derive(Clone, Debug)]
pub struct DiskPlan {
    /// What is backed up.
    pub origin: Origin,
    /// Its COW volume.
    pub cow: CowPlan,
    /// What the live origin holds. Good to know, and no evidence of anything.
    pub volumes: Vec<PlannedVolume>,
}

/// A volume that was seen on the live origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedVolume {
    /// As `check` names it.
    pub path: String,
    /// What it holds.
    pub kind: Kind,
    /// Its size as its table or volume group says.
    pub size_bytes: u64,
    /// The UUID of what it holds, as `blkid` prints it.
    pub uuid: Option<String>,
}

/// A name for its artifact is taken.
#[derive(Debug)]
pub struct Claimed;

/// Its COW volume is made.
#[derive(Debug)]
pub struct Prepared {
    /// Wiped, and not attached.
    pub cow: CowVolume,
}

/// Its snapshot is taken, and open.
#[derive(Debug)]
pub struct Proven {
    /// The snapshot.
    pub snapshot: Attached,
    /// Its bytes.
    pub device: Device,
    /// What lies where on it: what was proven is what is copied.
    pub layout: Layout,
    /// What it proves.
    pub report: Report,
}

/// It is copied.
#[derive(Debug)]
pub struct Copied {
    /// What its snapshot proved before.
    pub report: Report,
    /// What the copy counted and hashed.
    pub copy: Copy,
    /// How its COW filled meanwhile.
    pub cow: CowCurve,
}

impl<Stage> Disk<Stage> {
    /// `vg/lv`.
    #[must_use]
    pub fn origin(&self) -> &LvName {
        &self.plan.origin.name
    }

    /// The same disk, a stage further.
    pub fn reach<Next>(self, next: impl FnOnce(Stage) -> Next) -> Disk<Next> {
        Disk { plan: self.plan, image: self.image, stage: next(self.stage) }
    }

    /// The same, where the stage may not be reached.
    ///
    /// # Errors
    /// Those of `next`; the artifact in the making goes with the disk.
    pub fn try_reach<Next, E>(self, next: impl FnOnce(&DiskPlan, Stage) -> Result<Next, E>) -> Result<Disk<Next>, E> {
        let stage = next(&self.plan, self.stage)?;
        Ok(Disk { plan: self.plan, image: self.image, stage })
    }
}
