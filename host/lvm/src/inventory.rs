//! Every logical volume of this host, group by group: a group that hangs is left out with the reason, and keeps no other from
//! being looked at.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::command::PLAIN;
use super::owned::{TAG, is_ours};
use super::{Bytes, LvName, Lvm, LvmError, answer};
use crate::programs::Invocation;

/// For one group. Its lock may be held by a command that hangs, and that it lies on a device that hangs is seen here.
const ONE: Duration = Duration::from_secs(20);
/// For all groups together.
const ALL: Duration = Duration::from_secs(120);
/// Besides [`PLAIN`]: LVM would wait for a device that is suspended, and times are to be numbers.
const LOOK: &str = "devices{ignore_suspended_devices=1}";
/// Within the settings of reports.
const SECONDS: &str = "report{time_format=\"%s\" ";
/// The fields of [`Row`], one row a volume.
const FIELDS: &str = "vg_name,vg_uuid,lv_name,lv_uuid,lv_size,lv_attr,origin,lv_tags,lv_time";

/// All that could be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The volumes that have a name for people, in LVM's order.
    pub volumes: Vec<Volume>,
    /// The UUIDs of all, those that LVM keeps to itself too, as [`Volume::uuid`] has them.
    pub uuids: BTreeSet<String>,
    /// The UUIDs of the groups that were looked at, without their dashes.
    pub groups: BTreeSet<String>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
}

/// What could not be looked at: a group, what lies on a device, or all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unseen {
    /// The group; `None` where not even its name is known.
    pub vg: Option<String>,
    /// The mapped device that was passed over, and with it a group that lies on it.
    pub device: Option<String>,
    /// Why.
    pub why: String,
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: LvName,
    /// Its UUID as device-mapper has it: `LVM-`, the group's, the volume's, without dashes. No other volume ever gets it.
    pub uuid: String,
    /// Its UUID as LVM shows it, `lv_uuid`.
    pub lv_uuid: String,
    /// Its size; of a thick snapshot that of its COW.
    pub size: Option<Bytes>,
    /// `lv_attr`, lvs(8).
    pub attr: String,
    /// The volume that it is a snapshot of, without its group.
    pub origin: Option<String>,
    /// When it was made, in seconds since 1970.
    pub made: Option<u64>,
    /// It has the name and the tag of this program's.
    pub is_ours: bool,
}

impl Volume {
    /// A thick snapshot, being merged or not.
    #[must_use]
    pub fn is_thick_snapshot(&self) -> bool {
        self.origin.is_some() && self.attr.starts_with(['s', 'S'])
    }

    /// A thin snapshot: a volume of its own, which its origin does not need and which costs it nothing.
    #[must_use]
    pub fn is_thin_snapshot(&self) -> bool {
        self.origin.is_some() && self.attr.starts_with('V')
    }

    /// It is being merged into its origin.
    #[must_use]
    pub fn is_merging(&self) -> bool {
        self.attr.starts_with('S') || self.state() == 'm' || self.state() == 'M'
    }

    /// The COW was full, by LVM's word.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.is_thick_snapshot() && matches!(self.state(), 'I' | 'S')
    }

    /// Whether it has device nodes.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state() != '-'
    }

    /// The 5th character of `lv_attr`.
    fn state(&self) -> char {
        self.attr.chars().nth(4).unwrap_or('-')
    }
}

#[derive(Debug, Deserialize)]
struct Group {
    vg_name: String,
    #[serde(default)]
    vg_uuid: String,
}

#[derive(Debug, Deserialize)]
struct Row {
    vg_name: String,
    #[serde(default)]
    vg_uuid: String,
    lv_name: String,
    #[serde(default)]
    lv_uuid: String,
    #[serde(default)]
    lv_size: String,
    #[serde(default)]
    lv_attr: String,
    #[serde(default)]
    origin: String,
    #[serde(default)]
    lv_tags: String,
    #[serde(default)]
    lv_time: String,
}

impl Row {
    fn uuid(&self) -> String {
        format!("LVM-{}{}", plain(&self.vg_uuid), plain(&self.lv_uuid))
    }

    /// `None` for those that LVM keeps to itself: `[pool_tdata]`.
    fn volume(self) -> Option<Volume> {
        let (name, uuid) = (LvName::new(&self.vg_name, &self.lv_name).ok()?, self.uuid());
        let is_ours = is_ours(&name) && self.lv_tags.split(',').any(|tag| tag == TAG);
        let origin = Some(self.origin).filter(|origin| !origin.is_empty());
        let (size, made) = (self.lv_size.parse().ok().map(Bytes), self.lv_time.trim().parse().ok());
        Some(Volume { name, uuid, lv_uuid: self.lv_uuid, size, attr: self.lv_attr, origin, made, is_ours })
    }
}

impl Lvm {
    /// Looks at every group of this host, within some minutes whatever hangs.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let began = Instant::now();
        let mut inventory = Inventory::default();
        let groups = match self.group_names() {
            Ok(groups) => groups,
            Err(error) => {
                inventory.unseen.push(Unseen { why: error.to_string(), ..Unseen::default() });
                return inventory;
            }
        };
        for group in groups {
            let left = ALL.saturating_sub(began.elapsed());
            match self.volumes_of(&group.vg_name, left.min(ONE)) {
                Ok(rows) => {
                    inventory.groups.insert(plain(&group.vg_uuid));
                    inventory.uuids.extend(rows.iter().map(Row::uuid));
                    inventory.volumes.extend(rows.into_iter().filter_map(Row::volume));
                }
                Err(error) => {
                    inventory.unseen.push(Unseen { vg: Some(group.vg_name), device: None, why: error.to_string() })
                }
            }
        }
        inventory
    }

    /// One volume, as it is now; `None` where there is none of that name.
    pub fn volume(&self, name: &LvName) -> Result<Option<Volume>, LvmError> {
        let rows = self.volumes_of(name.vg(), ONE).map_err(|error| self.explain_missing_vg(Some(name.vg()), error));
        match rows {
            Ok(rows) => Ok(rows.into_iter().filter_map(Row::volume).find(|volume| volume.name == *name)),
            Err(LvmError::NoSuchVg { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Without the groups' locks, one of which may be held by a command that hangs.
    fn group_names(&self) -> Result<Vec<Group>, LvmError> {
        let mut groups: Vec<Group> = self.answered(&report("vgs", "vg_name,vg_uuid", ONE).arg("--nolocking"), "vg")?;
        groups.dedup_by(|one, other| one.vg_uuid == other.vg_uuid);
        Ok(groups)
    }

    fn volumes_of(&self, vg: &str, deadline: Duration) -> Result<Vec<Row>, LvmError> {
        self.answered(&report("lvs", FIELDS, deadline).arg("--all").arg(vg), "lv")
    }

    fn answered<T: serde::de::DeserializeOwned>(&self, asked: &Invocation, section: &str) -> Result<Vec<T>, LvmError> {
        let output = self.run(asked)?;
        answer::rows(&output.stdout, section).map_err(|why| LvmError::Answer { command: asked.to_string(), why })
    }
}

fn report(program: &'static str, fields: &str, deadline: Duration) -> Invocation {
    let config = format!("{} {LOOK}", PLAIN.replacen("report{", SECONDS, 1));
    let json = ["--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields];
    Invocation::new(program, deadline).args(["--config", &config]).args(json)
}

fn plain(uuid: &str) -> String {
    uuid.replace('-', "")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::programs::{Output, ProgramError, Programs, Started};

    // As LVM 2.03.16 reports them.
    const VGS: &str = r#"{"report": [{"vg": [
        {"vg_name":"vg", "vg_uuid":"7eJ8sA-dKUB-So2r-VmkZ-WvXQ-pTn1-cYhG0f"},
        {"vg_name":"stuck", "vg_uuid":"5LbZqR-wEuI-iOoP-aSdF-gHjK-lZxC-vBnM12"}]}]}"#;
    const LVS: &str = r#"{"report": [{"lv": [
        {"vg_name":"vg", "vg_uuid":"7eJ8sA-dKUB-So2r-VmkZ-WvXQ-pTn1-cYhG0f", "lv_name":"db", "lv_uuid":"AAAAAA-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa", "lv_size":"314572800", "lv_attr":"owi-aos---", "origin":"", "lv_tags":"", "lv_time":"1764100000"},
        {"vg_name":"vg", "vg_uuid":"7eJ8sA-dKUB-So2r-VmkZ-WvXQ-pTn1-cYhG0f", "lv_name":"snap", "lv_uuid":"BBBBBB-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa", "lv_size":"20971520", "lv_attr":"swi-I-s---", "origin":"db", "lv_tags":"", "lv_time":"1764100060"},
        {"vg_name":"vg", "vg_uuid":"7eJ8sA-dKUB-So2r-VmkZ-WvXQ-pTn1-cYhG0f", "lv_name":"[pool_tdata]", "lv_uuid":"CCCCCC-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa", "lv_size":"20971520", "lv_attr":"Twi-ao----", "origin":"", "lv_tags":"", "lv_time":"1764100060"},
        {"vg_name":"vg", "vg_uuid":"7eJ8sA-dKUB-So2r-VmkZ-WvXQ-pTn1-cYhG0f", "lv_name":"thinsnap", "lv_uuid":"DDDDDD-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa", "lv_size":"20971520", "lv_attr":"Vwi---tz-k", "origin":"thin", "lv_tags":"", "lv_time":""}]}]}"#;

    /// A host on which one group does not answer.
    struct Host;

    impl Programs for Host {
        fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
            let prints = |text: &str| Ok(Output { stdout: text.as_bytes().to_vec(), ..Output::default() });
            let command = invocation.to_string();
            match (invocation.program(), invocation.arguments().last().and_then(|last| last.to_str())) {
                ("vgs", _) => prints(VGS),
                ("lvs", Some("vg")) => prints(LVS),
                _ => Err(ProgramError::TimedOut { command, deadline: ONE, gone: true, said: String::new() }),
            }
        }

        fn start(&self, _: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
            panic!("nothing is started")
        }
    }

    #[test]
    fn volumes_have_what_tells_them_apart_for_ever_and_hidden_ones_only_that() {
        let Inventory { volumes, uuids, .. } = Lvm::new(Arc::new(Host)).inventory();
        let names: Vec<String> = volumes.iter().map(|volume| volume.name.to_string()).collect();
        assert_eq!(names, ["vg/db", "vg/snap", "vg/thinsnap"]);
        let snap = &volumes[1];
        assert_eq!(snap.uuid, "LVM-7eJ8sAdKUBSo2rVmkZWvXQpTn1cYhG0fBBBBBBaaaaaaaaaaaaaaaaaaaaaaaaaa");
        assert_eq!(
            (snap.made, snap.size, snap.origin.as_deref()),
            (Some(1_764_100_060), Some(Bytes(20 << 20)), Some("db"))
        );
        assert!(snap.is_thick_snapshot() && snap.is_invalid() && snap.is_active() && !snap.is_thin_snapshot());
        let thin = &volumes[2];
        assert!(thin.is_thin_snapshot() && !thin.is_thick_snapshot() && !thin.is_active() && thin.made.is_none());
        assert_eq!(uuids.len(), 4);
    }

    #[test]
    fn a_group_that_hangs_is_named_and_keeps_no_other_from_being_looked_at() {
        let inventory = Lvm::new(Arc::new(Host)).inventory();
        let [Unseen { vg: Some(vg), why, .. }] = &inventory.unseen[..] else { panic!("{:?}", inventory.unseen) };
        assert!(vg == "stuck" && why.contains("did not end within"), "{why}");
        assert_eq!(inventory.groups.into_iter().collect::<Vec<_>>(), ["7eJ8sAdKUBSo2rVmkZWvXQpTn1cYhG0f"]);
        assert_eq!(inventory.volumes.len(), 3);
    }

    #[test]
    fn reports_wait_for_no_suspended_device_and_give_times_as_numbers() {
        let command = report("lvs", FIELDS, ONE).to_string();
        for words in ["ignore_suspended_devices=1", "report{time_format=\"%s\" prefixes=0", "archive=0"] {
            assert!(command.contains(words), "{command}");
        }
        assert_eq!(command.matches("--config").count(), 1, "LVM refuses a second one: {command}");
    }
}
