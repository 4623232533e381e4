//! The grade of what the coordinator would publish: the program's own, of the facts as the coordinator has them and of a disk whose bytes
//! show a freeze or do not.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use fsprobe::{Ext4Summary, Kind, Report, Table, Verdict, VolumeReport};
use guest_bridge::agent::Heard;
use guest_bridge::database::DatabaseError;
use guest_bridge::database::Statement;
use guest_bridge::database::engine_logs::EngineLogs;
use guest_bridge::database::lock::LockLost;
use guest_bridge::places::{DeviceNumber, Mount, On, Place};
use lvm::LvName;
use stillpoint::backup::database_state::{DatabaseState, ProvenBy};
use stillpoint::backup::evidence::Evidence;
use stillpoint::backup::grading::{self, Case};
use stillpoint::backup::identity::{Fate, Filesystem, Identity, Looked, OnVolume};
use stillpoint::backup::watchdog::WatchdogFacts;
use stillpoint::backup::window::{FreezeFacts, LockFacts};
use stillpoint::grade::Grade;

use crate::Model;
use crate::broken::Broken;
use crate::state::{FILESYSTEMS, LockSeen, State, WatchdogSeen};

/// All that the grade depends on, of what the model has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Seen {
    frozen: u8,
    thawed: Option<u64>,
    lock: LockSeen,
    watchdog: WatchdogSeen,
    shows_freeze: bool,
}

pub fn grade(model: &Model, state: &State) -> Grade {
    let coordinator = state.coordinator;
    let thawed = coordinator.first.and_then(|first: Heard| first.add_to(coordinator.count));
    let mut seen = Seen {
        frozen: coordinator.froze,
        thawed,
        lock: coordinator.lock,
        watchdog: coordinator.watchdog,
        shows_freeze: state.window.shows_freeze,
    };
    if model.is(Broken::CountsAreIgnored) {
        seen = Seen { frozen: FILESYSTEMS, thawed: Some(FILESYSTEMS.into()), watchdog: WatchdogSeen::None, ..seen };
    }
    static GRADES: OnceLock<Mutex<HashMap<Seen, Grade>>> = OnceLock::new();
    *GRADES.get_or_init(Mutex::default).lock().unwrap().entry(seen).or_insert_with(|| seen.grade())
}

impl Seen {
    fn grade(&self) -> Grade {
        let origin: LvName = "vg/db".parse().unwrap();
        let report = disk(self.shows_freeze);
        let thawed = self.thawed.map(|count| u32::try_from(count).unwrap());
        let lock = match self.lock {
            LockSeen::NotAsked => LockFacts::NotAsked,
            LockSeen::Held => LockFacts::of(Ok(()), &EngineLogs::Flushed),
            LockSeen::Lost => LockFacts::of(Err(lost()), &EngineLogs::Flushed),
        };
        let database = match self.lock {
            LockSeen::NotAsked => DatabaseState::NotAsked,
            _ => DatabaseState::Proven(ProvenBy::Binlog { path: "/b.1".into(), end_bytes: 1, gtid: None }),
        };
        let graded = grading::grade(Case {
            disks: &[Evidence { origin: &origin, report: &report }],
            freeze: &FreezeFacts::Counted { frozen: self.frozen.into(), thawed },
            watchdog: &match self.watchdog {
                WatchdogSeen::None => WatchdogFacts::None,
                WatchdogSeen::Disarmed { verdict, is_armed } => WatchdogFacts::of(verdict, is_armed),
                WatchdogSeen::NotTold => WatchdogFacts::NotTold,
            },
            lock: &lock,
            identity: &identity(&origin),
            database: &database,
        });
        graded.grade
    }
}

fn lost() -> LockLost {
    LockLost::Session(DatabaseError::Closed { statement: Statement::new("SELECT CONNECTION_ID()") })
}

fn disk(shows_freeze: bool) -> Report {
    let features = vec!["has_journal".to_owned()];
    let ext4 = Ext4Summary {
        needs_recovery: !shows_freeze,
        journal_start: u32::from(!shows_freeze),
        features,
        ..Ext4Summary::default()
    };
    let verdict = if shows_freeze { Verdict::Consistent } else { Verdict::Replay };
    let volume = VolumeReport {
        path: "1".into(),
        offset_bytes: Some(0),
        size_bytes: 1 << 30,
        kind: Kind::Ext4,
        partition_type: None,
        partition_name: None,
        partition_uuid: None,
        label: None,
        uuid: None,
        pieces: Vec::new(),
        verdict,
        findings: Vec::new(),
        ext4: Some(ext4),
    };
    Report {
        target: String::new(),
        size_bytes: 1 << 30,
        sector_size_bytes: 512,
        table: Table::None,
        table_uuid: None,
        verdict,
        findings: Vec::new(),
        volumes: vec![volume],
    }
}

/// `/`, with the database on it, is the volume of the disk.
fn identity(origin: &LvName) -> Identity {
    let device = DeviceNumber { major: 254, minor: 1 };
    let (mountpoint, fs_type) = ("/".to_owned(), "ext4".to_owned());
    let mount = Mount {
        device,
        mountpoint: mountpoint.clone(),
        fs_type: fs_type.clone(),
        source: "/dev/vda1".into(),
        read_only: false,
        synchronous: false,
        uuid: None,
    };
    let fate = Fate::Found(OnVolume { origin: origin.clone(), volume: "1".into() });
    Identity::LookedFor(Looked {
        filesystems: vec![Filesystem { mount, fate }],
        database: vec![Place { path: "/var/lib/mysql".into(), on: Ok(On { device, mountpoint, fs_type }) }],
        database_unseen: Vec::new(),
        on_untold_devices: Vec::new(),
        marker_age: Some(Duration::from_secs(1)),
        marker_stays: Duration::from_secs(29),
    })
}
