//! Volume groups: what room they have, and what keeps a snapshot from being made in them.

use std::time::Duration;

use super::command::DEADLINE;
use super::report::VgRow;
use super::{Bytes, Lvm, LvmError, NoOrigin};

/// A volume group.
#[derive(Debug, Clone)]
pub struct VolumeGroup {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: Bytes,
    /// What is free on those of its devices that LVM allocates from.
    pub free: Bytes,
    /// What is free on the others: `pvchange --allocatable n` has barred them, or they are missing. No new volume gets it.
    pub barred: Bytes,
    /// The unit of allocation.
    pub extent_size: Bytes,
    /// How many more volumes the group's limit (`vgchange --maxlogicalvolumes`) allows; `None` without a limit.
    pub volumes_left: Option<u64>,
    /// The block devices that it lies on.
    pub devices: Vec<String>,
}

/// A group with what decides whether LVM makes a snapshot in it.
pub(super) struct Surveyed {
    pub group: VolumeGroup,
    /// Its `vg_attr`, vgs(8).
    attr: String,
    lock_type: String,
    tags: String,
}

impl Lvm {
    /// What is known of a volume group.
    pub fn volume_group(&self, vg: &str) -> Result<VolumeGroup, LvmError> {
        Ok(self.survey_group(vg)?.group)
    }

    /// The same, where nobody has time to wait for whoever has the group's lock.
    pub fn volume_group_within(&self, vg: &str, deadline: Duration) -> Result<VolumeGroup, LvmError> {
        Ok(self.survey_group_within(vg, deadline)?.group)
    }

    pub(super) fn survey_group(&self, vg: &str) -> Result<Surveyed, LvmError> {
        self.survey_group_within(vg, DEADLINE)
    }

    fn survey_group_within(&self, vg: &str, deadline: Duration) -> Result<Surveyed, LvmError> {
        Surveyed::of(self.vgs(vg, deadline)?).map_err(|why| LvmError::Answer { command: format!("vgs {vg}"), why })
    }
}

impl Surveyed {
    /// Of the rows of one group, one for each of its devices.
    fn of(rows: Vec<VgRow>) -> Result<Self, String> {
        let first = rows.first().ok_or("it names no group")?.clone();
        let limit = number(&first.max_lv)?;
        let (mut free, mut barred) = (0_u64, 0_u64);
        for row in &rows {
            let sum = if row.is_allocated_from() { &mut free } else { &mut barred };
            *sum = sum.saturating_add(number(&row.pv_free)?);
        }
        let group = VolumeGroup {
            name: first.vg_name,
            size: Bytes(number(&first.vg_size)?),
            free: Bytes(free),
            barred: Bytes(barred),
            extent_size: Bytes(number(&first.vg_extent_size)?),
            volumes_left: if limit == 0 { None } else { Some(limit.saturating_sub(number(&first.lv_count)?)) },
            devices: rows.into_iter().map(|row| row.pv_name).collect(),
        };
        Ok(Self { group, attr: first.vg_attr, lock_type: first.vg_lock_type, tags: first.vg_tags })
    }

    /// Why LVM would make no COW volume in it, or no snapshot of it.
    pub fn refusal(&self) -> Option<NoOrigin> {
        let attr = |position: usize| self.attr.chars().nth(position - 1);
        if matches!(attr(6), Some('s' | 'c')) || !matches!(self.lock_type.as_str(), "" | "none") {
            return Some(NoOrigin::Shared { lock_type: self.lock_type.clone() });
        }
        if attr(1) == Some('r') {
            return Some(NoOrigin::GroupReadOnly);
        }
        if attr(4) == Some('p') {
            return Some(NoOrigin::GroupIncomplete);
        }
        (self.group.volumes_left == Some(0)).then_some(NoOrigin::TooManyVolumes)
    }

    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.split(',').any(|one| one == tag)
    }
}

/// A size in bytes, or a count.
fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{}` is no number", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer;

    /// Two devices as LVM 2.03.16 reports them, some fields changed.
    fn survey(changes: &[(&str, &str)]) -> Surveyed {
        let mut report = concat!(
            r#"{"report": [{"vg": [{"vg_name":"vg", "vg_size":"2139095040", "vg_extent_size":"4194304", "vg_attr":"wz--n-", "#,
            r#""vg_tags":"ssd,guests", "vg_lock_type":"", "max_lv":"0", "lv_count":"3", "pv_name":"/dev/sda1", "#,
            r#""pv_attr":"a--", "pv_free":"524288000"},"#,
            "\n",
            r#"{"vg_name":"vg", "vg_size":"2139095040", "vg_extent_size":"4194304", "vg_attr":"wz--n-", "#,
            r#""vg_tags":"ssd,guests", "vg_lock_type":"", "max_lv":"0", "lv_count":"3", "pv_name":"/dev/sdb1", "#,
            r#""pv_attr":"a--", "pv_free":"104857600"}]}]}"#
        )
        .to_owned();
        for (from, to) in changes {
            assert!(report.contains(from), "{from}");
            report = report.replace(from, to);
        }
        Surveyed::of(answer::rows(report.as_bytes(), "vg").unwrap()).unwrap()
    }

    #[test]
    fn a_group_has_the_room_of_all_its_devices() {
        let surveyed = survey(&[]);
        let group = &surveyed.group;
        assert_eq!((group.free, group.barred, group.volumes_left), (Bytes(600 << 20), Bytes(0), None));
        assert_eq!(group.devices, ["/dev/sda1", "/dev/sdb1"]);
        assert_eq!(surveyed.refusal(), None);
        assert!(surveyed.has_tag("guests") && !surveyed.has_tag("guest"));
    }

    #[test]
    fn room_on_a_device_that_is_barred_or_missing_is_no_room() {
        for attr in ["---", "u--", "a-m"] {
            let group = survey(&[(r#""a--", "pv_free":"524288000""#, &format!(r#""{attr}", "pv_free":"524288000""#))]);
            assert_eq!((group.group.free, group.group.barred), (Bytes(100 << 20), Bytes(500 << 20)), "{attr}");
        }
    }

    #[test]
    fn a_limit_on_the_number_of_volumes_counts_those_that_there_are() {
        assert_eq!(survey(&[(r#""max_lv":"0""#, r#""max_lv":"5""#)]).group.volumes_left, Some(2));
        let full = survey(&[(r#""max_lv":"0""#, r#""max_lv":"3""#)]);
        assert_eq!(full.refusal(), Some(NoOrigin::TooManyVolumes));
    }

    #[test]
    fn a_group_that_lvm_would_not_change_is_refused() {
        assert_eq!(survey(&[("wz--n-", "rz--n-")]).refusal(), Some(NoOrigin::GroupReadOnly));
        assert_eq!(survey(&[("wz--n-", "wz-pn-")]).refusal(), Some(NoOrigin::GroupIncomplete));
        let shared = survey(&[("wz--n-", "wz--ns"), (r#""vg_lock_type":"""#, r#""vg_lock_type":"sanlock""#)]);
        assert_eq!(shared.refusal(), Some(NoOrigin::Shared { lock_type: "sanlock".into() }));
        assert!(matches!(survey(&[("wz--n-", "wz--nc")]).refusal(), Some(NoOrigin::Shared { .. })), "clustered");
        assert_eq!(survey(&[(r#""vg_lock_type":"""#, r#""vg_lock_type":"none""#)]).refusal(), None);
    }

    #[test]
    fn a_report_without_numbers_is_an_error() {
        assert!(Surveyed::of(Vec::new()).is_err());
        let row = r#"{"vg_name":"vg", "vg_size":"1", "vg_extent_size":"4194304"}"#;
        assert!(Surveyed::of(vec![serde_json::from_str(row).unwrap()]).is_err());
    }
}
