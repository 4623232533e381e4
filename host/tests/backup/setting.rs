//! A host, its guest and its database, simulated.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use guest_bridge::agent::{SharedAgent, SimulatedGuest};
use guest_bridge::call_log::CallLog;
use guest_bridge::database::simulated::SimulatedMariaDb;
use guest_bridge::places::{DeviceNumber, MarkerName};
use lvm::simulated::SimulatedLvm;
use lvm::{Bytes, Lvm};
use stillpoint::ask::config::Config;
use stillpoint::ask::connect::World;
use stillpoint::ask::job::{Asked, Job};
use stillpoint::backup::destination::Destination;
use stillpoint::backup::{self, Outcome};
use stillpoint::clock::Clock;
use stillpoint::failure::Failure;
use stillpoint::run::event::Listeners;
use stillpoint::stop::Stop;
use stillpoint_tests::machine::guest_image::{BINLOG_INODE, GuestImage, MARKER_INODE};
use tempfile::TempDir;

/// A host with `vg/root` and `vg/data`, their guest, and its database.
pub struct Setting {
    pub folder: TempDir,
    pub log: CallLog,
    pub lvm: Arc<SimulatedLvm>,
    pub guest: SimulatedGuest,
    pub database: SimulatedMariaDb,
    pub stop: Stop,
    /// What stands in the configuration.
    pub config: &'static str,
}

/// What the simulated server says of its binlog is true of this one.
pub const BINLOG: &[u8] = include_bytes!("../../../fixtures/binlog/mariadb-10.11.000001");

/// Filesystems as an unmount, or a freeze, leaves them.
pub fn frozen() -> &'static GuestImage {
    static IMAGE: OnceLock<GuestImage> = OnceLock::new();
    IMAGE.get_or_init(|| GuestImage::make(BINLOG, &[]))
}

/// The same with `INCOMPAT_RECOVER` set, as while it is mounted: what a freeze that froze nothing leaves.
pub fn live() -> &'static GuestImage {
    static IMAGE: OnceLock<GuestImage> = OnceLock::new();
    IMAGE.get_or_init(|| GuestImage::make(BINLOG, &["feature needs_recovery"]))
}

/// The disks of the guest's mountpoints, as the simulated guest numbers them.
pub const DISKS: [(&str, &str, u32); 2] = [("/", "vg/root", 0), ("/srv/data", "vg/data", 1)];

/// What a freeze does: what the guest wrote before comes onto its disks.
pub fn flush(guest: &SimulatedGuest, image: &GuestImage, dev: &Path) {
    for (mountpoint, disk, minor) in DISKS {
        let root = mountpoint.trim_end_matches('/');
        let name = |path: &String| path.strip_prefix(root)?.strip_prefix('/')?.parse::<MarkerName>().ok();
        let marker = guest.markers().iter().find_map(name);
        if let Some(name) = marker {
            image.mark(&dev.join(disk), &name.content(DeviceNumber { major: 253, minor }));
        }
    }
}

/// Puts what the simulated LVM is asked into the log that all peers share.
pub fn recorder(log: &CallLog) -> impl Fn(String) + Send + Sync + 'static {
    let log = log.clone();
    move |call| log.record(call)
}

impl Setting {
    pub fn new() -> Self {
        Self::of(frozen())
    }

    pub fn of(image: &'static GuestImage) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = CallLog::new();
        let guest = SimulatedGuest::new(log.clone(), ["/", "/srv/data"]).with_places(|places| {
            ["/", "/srv/data"].iter().for_each(|mountpoint| places.inode(mountpoint, MARKER_INODE));
            places.inode("/var/lib/mysql/binlog.000001", BINLOG_INODE);
        });
        let (dev, record, marked) = (folder.path().join("dev"), recorder(&log), guest.clone());
        let lvm = SimulatedLvm::new(&dev.clone(), move |call| {
            if call.starts_with("program: lvconvert") {
                flush(&marked, image, &dev);
            }
            record(call);
        });
        lvm.add_vg("vg", Bytes(400 << 20));
        for disk in ["vg/root", "vg/data"] {
            lvm.add_lv(&disk.parse().unwrap(), &image.bytes);
        }
        std::fs::create_dir(folder.path().join("to")).unwrap();
        Self {
            lvm: Arc::new(lvm),
            guest,
            database: SimulatedMariaDb::new(log.clone()),
            stop: Stop::default(),
            config: "",
            folder,
            log,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn world(&self) -> World {
        World {
            lvm: Lvm::with_device_dir(self.lvm.clone(), self.path("dev")),
            agent: Some(SharedAgent::new(self.guest.clone())),
            database: Some(self.database.opener()),
            session: None,
            guest_login: None,
            guardian: None,
            clock: Clock::system(),
        }
    }

    pub async fn back_up(&self) -> Result<Outcome, Failure> {
        self.back_up_in(self.world()).await
    }

    pub async fn back_up_in(&self, world: World) -> Result<Outcome, Failure> {
        self.back_up_of(|_| (), world).await
    }

    pub async fn back_up_as(&self, otherwise: impl FnOnce(&mut Asked)) -> Result<Outcome, Failure> {
        self.back_up_of(otherwise, self.world()).await
    }

    pub async fn back_up_of(&self, otherwise: impl FnOnce(&mut Asked), world: World) -> Result<Outcome, Failure> {
        self.back_up_told(otherwise, world, Listeners::default()).await
    }

    pub async fn back_up_told(
        &self,
        otherwise: impl FnOnce(&mut Asked),
        world: World,
        listeners: Listeners,
    ) -> Result<Outcome, Failure> {
        let mut asked = Asked {
            disks: vec!["vg/root".into(), "vg/data".into()],
            agent: Some("unix:/run/qga".into()),
            database: Some("agent".into()),
            state_dir: Some(self.path("state")),
            ..Asked::default()
        };
        otherwise(&mut asked);
        let job = Job::new(asked, &toml::from_str::<Config>(self.config).unwrap()).unwrap();
        let destination = Destination::Folder { folder: self.path("to"), name: "b".into() };
        backup::run(&job, &destination, &world, listeners, &self.stop).await
    }

    pub fn files(&self) -> Vec<String> {
        names(&self.path("to"))
    }

    /// The guest has ended: nobody has its disks open.
    pub fn end_guest(&self) {
        end(&self.lvm);
    }

    /// What must hold after every run, whatever happened in it.
    pub fn assert_nothing_is_held(&self, case: &str) {
        assert!(!self.guest.is_frozen(), "{case}: the guest is frozen");
        assert!(!self.database.is_locked(), "{case}: the tables are locked");
        assert_eq!(self.lvm.volumes(), ["vg/data", "vg/root"], "{case}: volumes are left");
        for disk in ["vg/root", "vg/data"] {
            assert!(!self.lvm.is_suspended(&disk.parse().unwrap()), "{case}: {disk} is suspended");
        }
    }

    /// Holds, too, where the guest could be asked.
    pub fn assert_no_marker_is_left(&self, case: &str) {
        assert_eq!(self.guest.markers(), [""; 0], "{case}: markers are left");
        assert_eq!(self.guest.watchdogs(), [""; 0], "{case}: a watchdog is left");
    }

    /// The order of the steps in the run log, as they ended.
    pub fn steps(&self) -> Vec<String> {
        let runs = self.path("state/runs");
        let log = std::fs::read_to_string(runs.join(&names(&runs)[0])).unwrap();
        let mut steps: Vec<String> = Vec::new();
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            if line["mark"] != "intent"
                && let Some(step) = line["step"].as_str()
            {
                steps.push(step.to_owned());
            }
        }
        steps
    }
}

pub fn end(lvm: &SimulatedLvm) {
    ["vg/root", "vg/data"].iter().for_each(|disk| lvm.close(&disk.parse().unwrap()));
}

pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Artifacts and receipt, or nothing: never a part.
pub fn assert_all_or_nothing(setting: &Setting, result: &Result<Outcome, Failure>, case: &str) {
    match result {
        Ok(_) => assert_eq!(setting.files(), ["b-data.img.zst", "b-root.img.zst", "b.json"], "{case}"),
        Err(failure) => assert_eq!(setting.files(), [""; 0], "{case}: {failure}"),
    }
}
