//! What the simulated groups hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Fault;
use crate::{Bytes, LvName};

/// LVM's default.
const EXTENT: Bytes = Bytes(4 << 20);

#[derive(Debug)]
pub(super) struct State {
    dev: PathBuf,
    pub groups: BTreeMap<String, Bytes>,
    pub volumes: BTreeMap<LvName, Volume>,
    pub faults: Vec<(Option<&'static str>, usize, Fault)>,
    pub calls: usize,
    /// Fields of reports that say something else: of what (`vg` or `vg/lv`), which field, what.
    pub told: Vec<(String, String, String)>,
    /// `activation/volume_list`.
    pub volume_list: Option<Vec<String>>,
    /// Numbers in lvm.conf, by their names with their sections.
    pub settings: BTreeMap<String, u32>,
    /// `global/wait_for_locks`.
    pub waits_for_locks: bool,
    calls_of: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Volume {
    pub size: Bytes,
    pub tags: Vec<String>,
    pub origin: Option<LvName>,
    pub active: bool,
    pub suspended: bool,
    /// The COW volume of an attach that ended half way: its tables are not what its metadata asks for.
    pub half_attached: Option<LvName>,
    /// Of a snapshot's COW; `None` once it is invalid.
    pub used: Option<Bytes>,
    /// How often it is open, as device-mapper counts.
    pub opens: u32,
}

#[allow(clippy::expect_used)] // a simulated device that cannot be written has to fail the test
impl State {
    pub fn new(dev: &Path) -> Self {
        let (groups, volumes, calls_of) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let settings = BTreeMap::new();
        let (dev, faults, told) = (dev.to_owned(), Vec::new(), Vec::new());
        Self {
            dev,
            groups,
            volumes,
            faults,
            calls: 0,
            told,
            volume_list: None,
            settings,
            waits_for_locks: true,
            calls_of,
        }
    }

    pub fn add_vg(&mut self, vg: &str, size: Bytes) {
        fs::create_dir_all(self.dev.join(vg)).expect("the simulated /dev is writable");
        self.groups.insert(vg.to_owned(), size);
    }

    pub fn add_lv(&mut self, name: &LvName, content: &[u8]) {
        assert!(self.groups.contains_key(name.vg()), "add the group {} first", name.vg());
        fs::write(self.node(name), content).expect("the simulated /dev is writable");
        let volume = Volume::new(Bytes(content.len() as u64), Vec::new());
        self.volumes.insert(name.clone(), Volume { opens: 1, ..volume });
    }

    pub fn node(&self, name: &LvName) -> PathBuf {
        self.dev.join(name.vg()).join(name.lv())
    }

    /// Real locks in real files, so that what holds them can be seen. No group has such a name.
    pub fn lock_folder(&self) -> PathBuf {
        let folder = self.dev.join(".lock");
        fs::create_dir_all(&folder).expect("the simulated /dev is writable");
        folder
    }

    pub fn free(&self, vg: &str) -> Bytes {
        let used = self.volumes.iter().filter(|(name, _)| name.vg() == vg).map(|(_, volume)| volume.size.0).sum();
        Bytes(self.groups.get(vg).map_or(0, |size| size.0.saturating_sub(used)))
    }

    /// The row of a report, with what a test has told it to say.
    pub fn as_told(&self, of: &str, mut row: Value) -> Value {
        for (_, field, value) in self.told.iter().filter(|(what, ..)| what == of) {
            row[field] = value.clone().into();
        }
        row
    }

    /// The snapshots of a volume.
    pub fn snapshots_of(&self, origin: &LvName) -> usize {
        self.volumes.values().filter(|volume| volume.origin.as_ref() == Some(origin)).count()
    }

    pub fn attach(&mut self, origin: &LvName, cow: &LvName) {
        fs::copy(self.node(origin), self.node(cow)).expect("the origin can be copied");
        if let Some(volume) = self.volumes.get_mut(cow) {
            volume.origin = Some(origin.clone());
            volume.active = true;
            volume.used = Some(Bytes(8192));
        }
    }

    pub fn remove(&mut self, name: &LvName) {
        self.volumes.remove(name);
        fs::remove_file(self.node(name)).ok();
    }

    pub fn fill_cow(&mut self, name: &LvName, used: Bytes) {
        let node = self.node(name);
        let volume = self.volumes.get_mut(name).expect("there is such a snapshot");
        volume.used = Some(used).filter(|used| *used <= volume.size);
        if volume.used.is_none() {
            fs::File::create(node).expect("the snapshot's file can be cut to nothing");
        }
    }

    pub fn suspend(&mut self, name: Option<LvName>) {
        if let Some(volume) = name.and_then(|name| self.volumes.get_mut(&name)) {
            volume.suspended = true;
        }
    }

    pub fn half_attach(&mut self, origin: Option<LvName>, cow: Option<LvName>) {
        self.suspend(origin.clone());
        if let Some(volume) = origin.and_then(|name| self.volumes.get_mut(&name)) {
            volume.half_attached = cow;
        }
    }

    /// A refresh takes back what is left of an attach only once its COW volume is gone.
    pub fn refreshed(&mut self, name: &LvName) {
        let half = self.volumes.get(name).and_then(|volume| volume.half_attached.clone());
        let is_gone = half.is_some_and(|cow| !self.volumes.contains_key(&cow));
        if let Some(volume) = self.volumes.get_mut(name).filter(|_| is_gone) {
            volume.half_attached = None;
        }
    }

    /// Counts a call, and finds the fault that was ordered for it.
    pub fn count(&mut self, program: &'static str) -> Option<Fault> {
        self.calls += 1;
        let of_program = self.calls_of.entry(program).or_default();
        *of_program += 1;
        let (all, of_program) = (self.calls, *of_program);
        let hit = |(of, nth, _): &(Option<&str>, usize, Fault)| match of {
            None => *nth == all,
            Some(name) => *name == program && *nth == of_program,
        };
        self.faults.iter().find(|fault| hit(fault)).map(|(_, _, fault)| *fault)
    }
}

impl Volume {
    pub fn new(size: Bytes, tags: Vec<String>) -> Self {
        Self {
            size: size.round_up(EXTENT),
            tags,
            origin: None,
            active: true,
            suspended: false,
            half_attached: None,
            used: None,
            opens: 0,
        }
    }
}
