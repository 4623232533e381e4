//! The volume that is to be backed up.

use std::path::PathBuf;

use super::owned::{TAG, is_ours};
use super::report::{LvRow, NO_ACCESS};
use super::{Bytes, LvName, Lvm, LvmError, NoOrigin, VolumeGroup};
use crate::programs::ProgramError;

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
    /// Snapshots that it has already. Each that is not dead makes every write to the origin slower.
    pub snapshots: Vec<ExistingSnapshot>,
    /// Whether something has it open: a running guest does.
    pub open: bool,
    /// Its device node.
    pub device_path: PathBuf,
    /// Its volume group.
    pub vg: VolumeGroup,
}

/// A thick snapshot that a volume has already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingSnapshot {
    /// Its name.
    pub name: LvName,
    /// Its COW is full: nothing is copied to it any more, so that it costs the origin's writes nothing, and is good for nothing.
    pub is_dead: bool,
    /// It has the name and the tag of this program's.
    pub is_ours: bool,
}

impl Origin {
    /// How many of its snapshots are dead.
    #[must_use]
    pub fn dead_snapshots(&self) -> usize {
        self.snapshots.iter().filter(|snapshot| snapshot.is_dead).count()
    }
}

impl Lvm {
    /// Surveys a volume that is to be backed up; [`LvmError::NotAnOrigin`] says why where it cannot be. That is also where LVM would
    /// refuse only later, and at the worst when the guest is frozen.
    pub fn origin(&self, name: &LvName) -> Result<Origin, LvmError> {
        let refuse = |why: NoOrigin| LvmError::NotAnOrigin { name: name.clone(), why };
        let row = self.lv(name).map_err(|error| no_access(&error).map_or(error, refuse))?;
        if let Some(why) = unfit(&row) {
            return Err(refuse(why));
        }
        if row.is("raid") && self.has_integrity(name)? {
            return Err(refuse(NoOrigin::Integrity));
        }
        let surveyed = self.survey_group(name.vg())?;
        if let Some(why) = surveyed.refusal() {
            return Err(refuse(why));
        }
        if let Some(list) = self.volume_list()?
            && !list.may_activate_ours(name.vg(), |tag| surveyed.has_tag(tag))
        {
            return Err(refuse(NoOrigin::NoActivation));
        }
        let size = row
            .size()
            .ok_or_else(|| LvmError::Answer { command: format!("lvs {name}"), why: "it gives no size".into() })?;
        let snapshots = self.lvs(Some(name.vg()))?;
        Ok(Origin {
            name: name.clone(),
            size,
            layout: row.lv_layout.clone(),
            pool: Some(row.pool_lv.clone()).filter(|pool| row.is("thin") && !pool.is_empty()),
            snapshots: snapshots.iter().filter_map(|other| snapshot_of(name, other)).collect(),
            open: row.attr(6) == 'o',
            device_path: self.device_path(name),
            vg: surveyed.group,
        })
    }
}

/// Why LVM makes no snapshot of a volume, by its own row (lvs(8) has the letters).
fn unfit(row: &LvRow) -> Option<NoOrigin> {
    match row.attr(1) {
        's' | 'S' => return Some(NoOrigin::Snapshot { origin: row.origin.clone() }),
        't' => return Some(NoOrigin::ThinPool),
        'e' | 'l' | 'i' | 'I' | 'd' | 'D' | 'g' | 'v' => return Some(NoOrigin::Part),
        'O' => return Some(NoOrigin::Merging),
        'p' => return Some(NoOrigin::Moving),
        _ => {}
    }
    match row.attr(5) {
        'a' => {}
        's' | 'S' | 'I' => return Some(NoOrigin::Suspended),
        'X' => return Some(NoOrigin::StateUnknown),
        _ => return Some(NoOrigin::Inactive),
    }
    match row.attr(9) {
        'p' => return Some(NoOrigin::PvMissing),
        'X' => return Some(NoOrigin::StateUnknown),
        _ => {}
    }
    // Of a pool its pool_lv is `[NAME_cpool]`, of a single volume `[NAME_cvol]`.
    let has_cachevol = row.is("cachevol") || row.pool_lv.trim_end_matches(']').ends_with("_cvol");
    (row.is("cache") && has_cachevol).then_some(NoOrigin::CacheVol)
}

/// A row as the thick snapshot of an origin that it may be.
fn snapshot_of(origin: &LvName, row: &LvRow) -> Option<ExistingSnapshot> {
    if row.origin != origin.lv() || !row.attr(1).eq_ignore_ascii_case(&'s') {
        return None;
    }
    let name = LvName::new(&row.vg_name, &row.lv_name).ok()?;
    let is_ours = is_ours(&name) && row.has_tag(TAG);
    Some(ExistingSnapshot { name, is_dead: matches!(row.attr(5), 'I' | 'S'), is_ours })
}

/// Why a group is not for this host, where that is what LVM says.
fn no_access(error: &LvmError) -> Option<NoOrigin> {
    let LvmError::Program(ProgramError::Failed { said, .. }) = error else { return None };
    let (_, words) = said.split_once(NO_ACCESS)?;
    if words.contains(" system ID ") {
        return Some(NoOrigin::Foreign { said: format!("{NO_ACCESS}{}", words.split(';').next().unwrap_or(words)) });
    }
    let (_, lock_type) = words.split_once(" lock type ")?;
    Some(NoOrigin::Shared { lock_type: lock_type.split(' ').next().unwrap_or(lock_type).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer;

    /// A row as LVM 2.03.16 reports it.
    fn row(name: &str, attr: &str, origin: &str, pool: &str, layout: &str) -> LvRow {
        let json = format!(
            r#"{{"report": [{{"lv": [{{"vg_name":"vg", "lv_name":"{name}", "lv_size":"4194304", "lv_attr":"{attr}", "#
        ) + &format!(
            r#""origin":"{origin}", "pool_lv":"{pool}", "lv_layout":"{layout}", "lv_tags":""}}]}}]}}"#
        );
        answer::rows(json.as_bytes(), "lv").unwrap().remove(0)
    }

    fn why(attr: &str, pool: &str, layout: &str) -> Option<NoOrigin> {
        unfit(&row("db", attr, "", pool, layout))
    }

    #[test]
    fn the_layouts_that_lvm_makes_snapshots_of_are_fit() {
        for (attr, pool, layout) in [
            ("-wi-ao----", "", "linear"),
            ("owi-aos---", "", "striped"),
            ("Vwi-aotz--", "pool", "thin,sparse"),
            ("Cwi-aoC---", "[fast_cpool]", "cache"),
            ("Cwi-aoC---", "[fast]", "cache"),
            ("rwi-aor---", "", "raid,raid1"),
            ("rwi-aor-r-", "", "raid,raid1"),
        ] {
            assert_eq!(why(attr, pool, layout), None, "{attr} {layout}");
        }
    }

    #[test]
    fn a_volume_that_a_single_volume_caches_is_refused() {
        assert_eq!(why("Cwi-aoC---", "[fast_cvol]", "cache"), Some(NoOrigin::CacheVol));
        assert_eq!(why("Cwi-aoC---", "", "cache,cachevol"), Some(NoOrigin::CacheVol));
    }

    #[test]
    fn a_volume_whose_tables_are_not_what_its_metadata_asks_for_is_refused() {
        assert_eq!(why("-wi-XX--X-", "", "linear"), Some(NoOrigin::StateUnknown));
        assert_eq!(why("-wi-ao--X-", "", "linear"), Some(NoOrigin::StateUnknown));
    }

    #[test]
    fn a_snapshot_whose_cow_is_full_is_dead() {
        let origin = LvName::new("vg", "db").unwrap();
        let snapshot = |attr| snapshot_of(&origin, &row("snap", attr, "db", "", "linear")).map(|found| found.is_dead);
        assert_eq!(snapshot("swi-a-s---"), Some(false));
        assert_eq!(snapshot("swi-I-s---"), Some(true));
        assert_eq!(snapshot("swi-S-s---"), Some(true));
        assert_eq!(snapshot("Vwi-a-tz--"), None, "a thin snapshot costs the origin's writes nothing");
        assert_eq!(snapshot_of(&origin, &row("snap", "swi-a-s---", "root", "", "linear")), None);
    }

    fn refused(said: &str) -> Option<NoOrigin> {
        let said = said.to_owned();
        no_access(&LvmError::Program(ProgramError::Failed { command: "lvs vg".to_owned(), exit_code: 5, said }))
    }

    // The words of LVM 2.03.16.
    #[test]
    fn a_group_of_another_host_is_told_from_a_missing_one() {
        let foreign = "Cannot access VG vg with system ID a with local system ID b.";
        let said = format!("{foreign}; Cannot process volume group vg");
        assert_eq!(refused(&said), Some(NoOrigin::Foreign { said: foreign.to_owned() }));
        let shared = "Cannot access VG vg with lock type sanlock that requires lvmlockd.";
        assert_eq!(refused(shared), Some(NoOrigin::Shared { lock_type: "sanlock".to_owned() }));
        assert_eq!(refused("Cannot access VG vg due to failed lock."), None);
        assert_eq!(refused("Volume group \"vg\" not found; Cannot process volume group vg"), None);
    }
}
