//! What `lvs` and `vgs` report, in their JSON format (lvmreport(7)).
//!
//! Read tolerantly: unknown fields are ignored, and a field that this LVM does not have is empty.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::command::{DEADLINE, PLAIN};
use super::{Bytes, LvName, Lvm, LvmError, answer};
use crate::programs::{Invocation, ProgramError};

/// The fields of [`LvRow`], one row a volume: none of them is a field of segments or devices.
const LV_FIELDS: &str = "vg_name,lv_name,lv_size,lv_attr,origin,pool_lv,lv_layout,lv_tags";
/// The fields of [`VgRow`], one row a device.
const VG_FIELDS: &str =
    "vg_name,vg_size,vg_extent_size,vg_attr,vg_tags,vg_lock_type,max_lv,lv_count,pv_name,pv_attr,pv_free";

/// How LVM says that a group is there, and not for this host: by its system ID (lvmsystemid(7)), or by its lock (lvmlockd(8)).
pub(super) const NO_ACCESS: &str = "Cannot access VG ";

/// A row of `lvs`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct LvRow {
    pub vg_name: String,
    pub lv_name: String,
    lv_size: String,
    pub lv_attr: String,
    #[serde(default)]
    pub origin: String,
    #[serde(default)]
    pub pool_lv: String,
    #[serde(default)]
    pub lv_layout: String,
    #[serde(default)]
    lv_tags: String,
}

impl LvRow {
    pub fn size(&self) -> Option<Bytes> {
        self.lv_size.parse().ok().map(Bytes)
    }

    pub fn has_tag(&self, tag: &str) -> bool {
        self.lv_tags.split(',').any(|one| one == tag)
    }

    /// Whether this is among the words of `lv_layout`.
    pub fn is(&self, layout: &str) -> bool {
        self.lv_layout.split(',').any(|one| one == layout)
    }

    /// One character of `lv_attr`, counted from 1 as lvs(8) does.
    pub fn attr(&self, position: usize) -> char {
        self.lv_attr.chars().nth(position.saturating_sub(1)).unwrap_or('-')
    }
}

/// A row of `vgs`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct VgRow {
    pub vg_name: String,
    pub vg_size: String,
    pub vg_extent_size: String,
    #[serde(default)]
    pub vg_attr: String,
    #[serde(default)]
    pub vg_tags: String,
    #[serde(default)]
    pub vg_lock_type: String,
    #[serde(default)]
    pub max_lv: String,
    #[serde(default)]
    pub lv_count: String,
    #[serde(default)]
    pub pv_name: String,
    #[serde(default)]
    pv_attr: String,
    #[serde(default)]
    pub pv_free: String,
}

impl VgRow {
    /// Whether new volumes are made on this device, by `pv_attr`, pvs(8): (a)llocatable, not (u)sed otherwise, and not (m)issing.
    pub fn is_allocated_from(&self) -> bool {
        self.pv_attr.starts_with('a') && self.pv_attr.chars().nth(2) != Some('m')
    }
}

impl Lvm {
    /// The volumes of one group, or of all.
    pub(super) fn lvs(&self, vg: Option<&str>) -> Result<Vec<LvRow>, LvmError> {
        let mut invocation = report("lvs", LV_FIELDS);
        if let Some(vg) = vg {
            invocation = invocation.arg(vg);
        }
        self.rows(&invocation, "lv").map_err(|error| self.explain_missing_vg(vg, error))
    }

    /// One volume.
    pub(super) fn lv(&self, name: &LvName) -> Result<LvRow, LvmError> {
        let mut others = Vec::new();
        for row in self.lvs(Some(name.vg()))? {
            if row.lv_name == name.lv() {
                return Ok(row);
            }
            others.push(row.lv_name);
        }
        let near = nearest(name.lv(), others).into_iter().map(|lv| format!("{}/{lv}", name.vg())).collect();
        Err(LvmError::NoSuchLv { name: name.clone(), near })
    }

    /// A group, one row for each of its devices.
    pub(super) fn vgs(&self, vg: &str, deadline: Duration) -> Result<Vec<VgRow>, LvmError> {
        let invocation = report("vgs", VG_FIELDS).arg(vg).within(deadline);
        self.rows(&invocation, "vg").map_err(|error| self.explain_missing_vg(Some(vg), error))
    }

    /// Whether a RAID volume has integrity below it (lvmraid(7)). An LVM that does not know the field knows no integrity either.
    pub(super) fn has_integrity(&self, name: &LvName) -> Result<bool, LvmError> {
        #[derive(Deserialize)]
        struct Integrity {
            #[serde(default)]
            raidintegritymode: String,
        }
        let invocation = report("lvs", "raidintegritymode").arg(name.to_string());
        match self.rows::<Integrity>(&invocation, "lv") {
            Ok(rows) => Ok(rows.iter().any(|row| !row.raidintegritymode.is_empty())),
            Err(LvmError::Program(ProgramError::Failed { said, .. })) if said.contains("Unrecognised field") => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// LVM has one exit code for everything: whether the group is missing is asked for by listing those that there are.
    pub(super) fn explain_missing_vg(&self, vg: Option<&str>, error: LvmError) -> LvmError {
        let (Some(vg), LvmError::Program(ProgramError::Failed { said, .. })) = (vg, &error) else { return error };
        // A list of the groups leaves out those that are another host's.
        if said.contains(NO_ACCESS) {
            return error;
        }
        #[derive(Deserialize)]
        struct Name {
            vg_name: String,
        }
        match self.rows::<Name>(&report("vgs", "vg_name"), "vg") {
            Ok(groups) if groups.iter().all(|group| group.vg_name != vg) => {
                let near = nearest(vg, groups.into_iter().map(|group| group.vg_name).collect());
                LvmError::NoSuchVg { vg: vg.to_owned(), near }
            }
            _ => error,
        }
    }

    fn rows<T: DeserializeOwned>(&self, invocation: &Invocation, section: &str) -> Result<Vec<T>, LvmError> {
        let output = self.run(invocation)?;
        answer::rows(&output.stdout, section).map_err(|why| LvmError::Answer { command: invocation.to_string(), why })
    }
}

fn report(program: &'static str, fields: &str) -> Invocation {
    let json = ["--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields];
    Invocation::new(program, DEADLINE).args(["--config", PLAIN]).args(json)
}

/// Up to three names, those with the fewest edits first; none that has little in common.
fn nearest(wanted: &str, mut names: Vec<String>) -> Vec<String> {
    names.sort_by_cached_key(|name| edits(wanted, name));
    names.retain(|name| edits(wanted, name) <= wanted.len().max(name.len()) / 2);
    names.truncate(3);
    names
}

/// The Levenshtein distance. Names are 127 characters at most.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, above) in b.bytes().zip(row.iter_mut().skip(1)) {
            let cost = (diagonal + usize::from(from != to)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, cost);
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from LVM 2.03.16 by fixtures/lvm/record.
    const LVS: &[u8] = include_bytes!("../../../fixtures/lvm/lvs.json");
    const VGS: &[u8] = include_bytes!("../../../fixtures/lvm/vgs.json");

    fn recorded(name: &str) -> LvRow {
        answer::rows::<LvRow>(LVS, "lv").unwrap().into_iter().find(|row| row.lv_name == name).unwrap()
    }

    #[test]
    fn volumes_are_read_as_lvs_reports_them() {
        let debian = recorded("debian");
        assert_eq!((debian.size(), debian.attr(1), debian.lv_layout.as_str()), (Some(Bytes(300 << 20)), 'o', "linear"));
        let invalid = recorded("stillpoint-r1-0");
        assert_eq!((invalid.attr(1), invalid.attr(5), invalid.origin.as_str()), ('s', 'I', "debian"));
        assert!(invalid.has_tag("stillpoint") && !invalid.has_tag("still") && !debian.has_tag("stillpoint"));
        let thin = recorded("thin1");
        assert_eq!((thin.attr(1), thin.pool_lv.as_str(), thin.lv_layout.as_str()), ('o', "pool", "thin,sparse"));
    }

    #[test]
    fn groups_are_read_as_vgs_reports_them() {
        let rows: Vec<VgRow> = answer::rows(VGS, "vg").unwrap();
        assert_eq!((rows.len(), rows[0].vg_name.as_str(), rows[0].vg_extent_size.as_str()), (1, "vg-1", "4194304"));
    }

    #[test]
    fn what_a_host_has_in_its_lvm_conf_does_not_change_a_report() {
        let command = report("lvs", "lv_name").to_string();
        for broke_it in ["prefixes=0", "prefix=\"\"", "command_names=0", "list_item_separator=\",\"", "archive=0"] {
            assert!(command.contains(broke_it), "{command}");
        }
        assert_eq!(command.matches("--config").count(), 1, "LVM refuses a second one: {command}");
    }

    #[test]
    fn the_nearest_names_come_first_and_strangers_not_at_all() {
        let names = ["vm-473-disk-1", "vm-473-disk-0", "swap", "vm-999-disk-0"].map(String::from).to_vec();
        assert_eq!(nearest("vm-473-disk0", names), ["vm-473-disk-0", "vm-473-disk-1", "vm-999-disk-0"]);
    }
}
