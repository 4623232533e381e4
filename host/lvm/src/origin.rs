//! The volume that is to be backed up.

use std::path::PathBuf;

use super::report::VgRow;
use super::{Bytes, LvName, Lvm, LvmError, NoOrigin};

/// A volume that can be the origin of a thick snapshot, as surveyed.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its name.
    pub name: LvName,
    /// Its size.
    pub size: Bytes,
    /// Its layout in LVM's words: `linear`, `striped`, `thin,sparse`, `raid,raid1`, …
    pub layout: String,
    /// The thin pool that it is in.
    pub pool: Option<String>,
    /// Snapshots that it has already. Each makes every write to the origin slower.
    pub snapshots: Vec<LvName>,
    /// Whether something has it open: a running guest does.
    pub open: bool,
    /// Its device node.
    pub device_path: PathBuf,
    /// Its volume group.
    pub vg: VolumeGroup,
}

/// A volume group.
#[derive(Debug, Clone)]
pub struct VolumeGroup {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: Bytes,
    /// What is free in it.
    pub free: Bytes,
    /// The unit of allocation.
    pub extent_size: Bytes,
    /// The block devices that it lies on.
    pub devices: Vec<String>,
}

impl Lvm {
    /// What is known of a volume group.
    pub fn volume_group(&self, vg: &str) -> Result<VolumeGroup, LvmError> {
        let rows = self.vgs(vg)?;
        let answer = |why: &str| LvmError::Answer { command: format!("vgs {vg}"), why: why.to_owned() };
        let first = rows.first().ok_or_else(|| answer("it names no group"))?;
        let number = |text: &str| text.parse().map(Bytes).map_err(|_| answer(&format!("`{text}` is no size in bytes")));
        Ok(VolumeGroup {
            name: first.vg_name.clone(),
            size: number(&first.vg_size)?,
            free: number(&first.vg_free)?,
            extent_size: number(&first.vg_extent_size)?,
            devices: rows.iter().map(|row: &VgRow| row.pv_name.clone()).collect(),
        })
    }

    /// Surveys a volume that is to be backed up; [`LvmError::NotAnOrigin`] says why where it cannot be.
    pub fn origin(&self, name: &LvName) -> Result<Origin, LvmError> {
        let row = self.lv(name)?;
        let refuse = |why: NoOrigin| Err(LvmError::NotAnOrigin { name: name.clone(), why });
        match row.attr(1) {
            's' | 'S' => return refuse(NoOrigin::Snapshot { origin: row.origin }),
            't' => return refuse(NoOrigin::ThinPool),
            'e' | 'l' | 'i' | 'I' | 'd' | 'D' | 'v' => return refuse(NoOrigin::Part),
            'O' => return refuse(NoOrigin::Merging),
            'p' => return refuse(NoOrigin::Moving),
            _ => {}
        }
        match row.attr(5) {
            'a' => {}
            's' | 'S' | 'I' => return refuse(NoOrigin::Suspended),
            'X' => return refuse(NoOrigin::StateUnknown),
            _ => return refuse(NoOrigin::Inactive),
        }
        if row.attr(9) == 'p' {
            return refuse(NoOrigin::PvMissing);
        }
        let size = row
            .size()
            .ok_or_else(|| LvmError::Answer { command: format!("lvs {name}"), why: "it gives no size".into() })?;
        let snapshots = self.lvs(Some(name.vg()))?;
        let snapshots =
            snapshots.iter().filter(|other| other.origin == name.lv() && other.attr(1).eq_ignore_ascii_case(&'s'));
        Ok(Origin {
            name: name.clone(),
            size,
            layout: row.lv_layout.clone(),
            pool: Some(row.pool_lv.clone()).filter(|pool| !pool.is_empty()),
            snapshots: snapshots.filter_map(|other| LvName::new(&other.vg_name, &other.lv_name).ok()).collect(),
            open: row.attr(6) == 'o',
            device_path: self.device_path(name),
            vg: self.volume_group(name.vg())?,
        })
    }
}
