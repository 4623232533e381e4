//! The whole recipe on a simulated host, guest and database: its order, and what a fault at any step leaves behind.
//!
//! Time is tokio's and stands still until everybody waits, so that deadlines of a minute cost nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use guest_bridge::agent::{
    self, Agent, AgentError, BoxFuture, Fault as AgentFault, FreezeScope, Request, SharedAgent, SimulatedGuest,
};
use guest_bridge::call_log::CallLog;
use guest_bridge::database::scripted::Outcome as Answer;
use guest_bridge::database::simulated::SimulatedMariaDb;
use guest_bridge::places::{DeviceNumber, MarkerName, SimulatedPlaces};
use lvm::programs::{Invocation, Output, ProgramError, Programs, Started};
use lvm::simulated::{Fault as LvmFault, SimulatedLvm};
use lvm::{Bytes, Lvm};
use serde_json::Value;
use stillpoint::ask::config::Config;
use stillpoint::ask::connect::World;
use stillpoint::ask::job::{Asked, Job};
use stillpoint::ask::policy::WatchdogWish;
use stillpoint::backup::destination::Destination;
use stillpoint::backup::{self, Outcome};
use stillpoint::clock::Clock;
use stillpoint::documents::receipt::Receipt;
use stillpoint::failure::exit::Exit;
use stillpoint::failure::{Failure, Kind};
use stillpoint::grade::{Grade, Indication};
use stillpoint::run::claim::Claim;
use stillpoint::run::event::{Event, Listener, Listeners};
use stillpoint::run::held::Held;
use stillpoint::run::record::RunRecord;
use stillpoint::stop::Stop;
use stillpoint_tests::machine::guest_image::{BINLOG_INODE, GuestImage, MARKER_INODE};
use tempfile::TempDir;

/// The number of signal(7).
const SIGTERM: i32 = 15;

/// A host with `vg/root` and `vg/data`, their guest, and its database.
struct Setting {
    folder: TempDir,
    log: CallLog,
    lvm: Arc<SimulatedLvm>,
    guest: SimulatedGuest,
    database: SimulatedMariaDb,
    stop: Stop,
}

/// What the simulated server says of its binlog is true of this one.
const BINLOG: &[u8] = include_bytes!("../../fixtures/binlog/mariadb-10.11.000001");

/// Filesystems as an unmount, or a freeze, leaves them.
fn frozen() -> &'static GuestImage {
    static IMAGE: OnceLock<GuestImage> = OnceLock::new();
    IMAGE.get_or_init(|| GuestImage::make(BINLOG, &[]))
}

/// The same with `INCOMPAT_RECOVER` set, as while it is mounted: what a freeze that froze nothing leaves.
fn live() -> &'static GuestImage {
    static IMAGE: OnceLock<GuestImage> = OnceLock::new();
    IMAGE.get_or_init(|| GuestImage::make(BINLOG, &["feature needs_recovery"]))
}

/// The disks of the guest's mountpoints, as the simulated guest numbers them.
const DISKS: [(&str, &str, u32); 2] = [("/", "vg/root", 0), ("/srv/data", "vg/data", 1)];

/// A guest that shows on its disks whether it is frozen, as ext4 does: `needs_recovery` is set when it is mounted and when it is thawed,
/// and cleared by a freeze. Of its thaws the first `lies` do nothing but say so.
struct Shown {
    guest: SimulatedGuest,
    dev: PathBuf,
    lies: usize,
}

impl Shown {
    /// Its disks are live.
    fn new(setting: &Setting, lies: usize) -> Self {
        let shown = Self { guest: setting.guest.clone(), dev: setting.path("dev"), lies };
        shown.show(live());
        shown
    }

    /// The superblock of each disk is that of `image`.
    fn show(&self, image: &GuestImage) {
        for (_, disk, _) in DISKS {
            let disk = File::options().write(true).open(self.dev.join(disk)).unwrap();
            disk.write_all_at(&image.bytes[1024..2048], 1024).unwrap();
        }
    }
}

impl Agent for Shown {
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        Box::pin(async move {
            let command = request.command;
            let answer = self.guest.call(request, deadline).await;
            match command {
                "guest-fsfreeze-freeze" if self.guest.is_frozen() => self.show(frozen()),
                "guest-fsfreeze-thaw" if self.lies == 0 => self.show(live()),
                "guest-fsfreeze-thaw" => self.lies -= 1,
                _ => {}
            }
            answer
        })
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.guest.release()
    }
}

/// What a freeze does: what the guest wrote before comes onto its disks.
fn flush(guest: &SimulatedGuest, image: &GuestImage, dev: &Path) {
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
fn recorder(log: &CallLog) -> impl Fn(String) + Send + Sync + 'static {
    let log = log.clone();
    move |call| log.record(call)
}

impl Setting {
    fn new() -> Self {
        Self::of(frozen())
    }

    fn of(image: &'static GuestImage) -> Self {
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
            folder,
            log,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn world(&self) -> World {
        World {
            lvm: Lvm::with_device_dir(self.lvm.clone(), self.path("dev")),
            agent: Some(SharedAgent::new(self.guest.clone())),
            database: Some(self.database.opener()),
            session: None,
            guardian: None,
            clock: Clock::system(),
        }
    }

    async fn back_up(&self) -> Result<Outcome, Failure> {
        self.back_up_in(self.world()).await
    }

    async fn back_up_in(&self, world: World) -> Result<Outcome, Failure> {
        self.back_up_of(|_| (), world).await
    }

    async fn back_up_as(&self, otherwise: impl FnOnce(&mut Asked)) -> Result<Outcome, Failure> {
        self.back_up_of(otherwise, self.world()).await
    }

    async fn back_up_of(&self, otherwise: impl FnOnce(&mut Asked), world: World) -> Result<Outcome, Failure> {
        self.back_up_told(otherwise, world, Listeners::default()).await
    }

    async fn back_up_told(
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
        let job = Job::new(asked, &Config::default()).unwrap();
        let destination = Destination::Folder { folder: self.path("to"), name: "b".into() };
        backup::run(&job, &destination, &world, listeners, &self.stop).await
    }

    fn files(&self) -> Vec<String> {
        names(&self.path("to"))
    }

    /// The guest has ended: nobody has its disks open.
    fn end_guest(&self) {
        end(&self.lvm);
    }

    /// What must hold after every run, whatever happened in it.
    fn assert_nothing_is_held(&self, case: &str) {
        assert!(!self.guest.is_frozen(), "{case}: the guest is frozen");
        assert!(!self.database.is_locked(), "{case}: the tables are locked");
        assert_eq!(self.lvm.volumes(), ["vg/data", "vg/root"], "{case}: volumes are left");
        for disk in ["vg/root", "vg/data"] {
            assert!(!self.lvm.is_suspended(&disk.parse().unwrap()), "{case}: {disk} is suspended");
        }
    }

    /// Holds, too, where the guest could be asked.
    fn assert_no_marker_is_left(&self, case: &str) {
        assert_eq!(self.guest.markers(), [""; 0], "{case}: markers are left");
        assert_eq!(self.guest.watchdogs(), [""; 0], "{case}: a watchdog is left");
    }

    /// The order of the steps in the run log, as they ended.
    fn steps(&self) -> Vec<String> {
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

fn end(lvm: &SimulatedLvm) {
    ["vg/root", "vg/data"].iter().for_each(|disk| lvm.close(&disk.parse().unwrap()));
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Artifacts and receipt, or nothing: never a part.
fn assert_all_or_nothing(setting: &Setting, result: &Result<Outcome, Failure>, case: &str) {
    match result {
        Ok(_) => assert_eq!(setting.files(), ["b-data.img.zst", "b-root.img.zst", "b.json"], "{case}"),
        Err(failure) => assert_eq!(setting.files(), [""; 0], "{case}: {failure}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_of_a_healthy_guest_is_of_grade_application() {
    let setting = Setting::new();
    let outcome = setting.back_up().await.unwrap();
    assert_eq!(outcome.receipt.grade, Grade::Application, "{:?}", outcome.receipt.reasons);
    assert_eq!(outcome.exit(), Exit::Done);
    setting.assert_nothing_is_held("healthy");
    setting.assert_no_marker_is_left("healthy");
    assert_eq!(setting.files(), ["b-data.img.zst", "b-root.img.zst", "b.json"]);
}

#[tokio::test(start_paused = true)]
async fn while_another_run_has_one_of_its_origins_a_backup_ends_before_anybody_is_asked() {
    let setting = Setting::new();
    let other = Claim::take(&setting.path("state"), Some("other"), &["vg/data".parse().unwrap()]).unwrap();
    other.name(&"r1".parse().unwrap());
    let failure = setting.back_up().await.unwrap_err();
    assert_eq!((failure.cause.kind, failure.exit()), (Kind::AlreadyRunning, Exit::Failed));
    assert!(failure.to_string().contains("run r1, pid "), "{failure}");
    assert_eq!(setting.log.entries(), [""; 0]);
    drop(other);
    setting.back_up().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_a_run_of_the_same_vm_lives_a_backup_of_other_disks_of_it_ends_before_anybody_is_asked() {
    let setting = Setting::new();
    let named = |asked: &mut Asked| asked.vm = Some("db1".to_owned());
    let other = Claim::take(&setting.path("state"), Some("db1"), &["vg/elsewhere".parse().unwrap()]).unwrap();
    let failure = setting.back_up_as(named).await.unwrap_err();
    assert_eq!(failure.cause.kind, Kind::AlreadyRunning);
    assert_eq!(setting.log.entries(), [""; 0]);
    drop(other);
    setting.back_up_as(named).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn snapshots_that_an_origin_has_already_are_named_in_the_plan() {
    let setting = Setting::new();
    let lvm = setting.world().lvm;
    for (number, origin) in ["vg/root", "vg/root", "vg/data"].into_iter().enumerate() {
        let name = "r1".parse::<lvm::RunId>().unwrap().volume("vg", number).unwrap();
        let cow = lvm.create_cow(&lvm.origin(&origin.parse().unwrap()).unwrap(), name, Bytes(8 << 20)).unwrap();
        cow.attach(Duration::from_secs(5)).unwrap();
    }
    setting.lvm.report("vg/stillpoint-r1-1", "lv_tags", "");
    setting.lvm.fill_cow(&"vg/stillpoint-r1-1".parse().unwrap(), Bytes(1 << 30));
    let notes = setting.back_up().await.unwrap().receipt.plan.notes.join("\n");
    for words in [
        "vg/root has 2 snapshots already (vg/stillpoint-r1-0, of another run of stillpoint, vg/stillpoint-r1-1, full): each that \
         is not full makes every write of the guest slower; `stillpoint clean`",
        "vg/data has 1 snapshot already (vg/stillpoint-r1-2, of another run of stillpoint): each makes every write of the guest slower",
    ] {
        assert!(notes.contains(words), "{notes}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_plan_says_that_a_thin_pool_stands_still_with_its_volume() {
    let setting = Setting::new();
    setting.lvm.report("vg/data", "lv_layout", "thin,sparse");
    setting.lvm.report("vg/data", "pool_lv", "pool");
    let notes = setting.back_up().await.unwrap().receipt.plan.notes;
    let said: Vec<_> = notes.iter().filter(|note| note.contains("in the pool pool")).collect();
    assert!(said.len() == 1 && said[0].starts_with("vg/data is a thin volume"), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn the_receipt_names_the_volume_of_each_filesystem_and_the_log_that_proves_the_database() {
    let setting = Setting::new();
    let receipt = setting.back_up().await.unwrap().receipt;
    let receipt = serde_json::to_value(receipt).unwrap();
    let filesystems = receipt["identity"]["filesystems"].as_array().unwrap();
    for (filesystem, (mountpoint, disk, _)) in filesystems.iter().zip(DISKS) {
        assert_eq!(filesystem["mountpoint"], mountpoint);
        assert_eq!(filesystem["fate"]["disk"], disk, "{filesystem}");
    }
    assert_eq!(filesystems[0]["holds"][0], "/var/lib/mysql/", "{receipt:#}");
    assert_eq!(receipt["database"]["state"], "binlog-ends-at-coordinates");
    assert!(receipt["lost"].as_str().unwrap().starts_with("nothing that was acknowledged"), "{receipt:#}");
}

#[tokio::test(start_paused = true)]
async fn a_marker_that_is_in_no_snapshot_leaves_its_filesystem_unproven() {
    let setting = Setting::new();
    // The guest tells another inode than that of the marker.
    let guest = setting.guest.clone().with_places(|places| places.inode("/srv/data", 99));
    let setting = Setting { guest, ..setting };
    let Outcome { receipt, .. } = setting.back_up().await.unwrap();
    assert_eq!(receipt.grade, Grade::Filesystem, "{:?}", receipt.reasons);
    assert_eq!(receipt.indications, [Indication::FilesystemNotInImage]);
    assert!(receipt.reasons[0].contains("/srv/data"), "{:?}", receipt.reasons);
    setting.assert_nothing_is_held("unproven");
    setting.assert_no_marker_is_left("unproven");
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_somewhere_else_after_the_window_is_not_proven_to_be_in_the_backup() {
    let setting = Setting::new();
    let guest = setting.guest.clone();
    let then = move || drop(guest.clone().with_places(|places| places.lack("/var/lib/mysql/")));
    let programs = Interposing { inner: setting.lvm.clone(), on: "lvcreate", then: Arc::new(then) };
    let lvm = Lvm::with_device_dir(Arc::new(programs), setting.path("dev"));
    let Outcome { receipt, .. } = setting.back_up_in(World { lvm, ..setting.world() }).await.unwrap();
    assert_eq!(receipt.grade, Grade::Filesystem, "{:?}", receipt.reasons);
    assert_eq!(receipt.indications, [Indication::DatabaseNotInImage]);
    assert!(receipt.reasons[0].contains("/var/lib/mysql/"), "{:?}", receipt.reasons);
    setting.assert_no_marker_is_left("elsewhere");
}

#[tokio::test(start_paused = true)]
async fn tables_that_may_lie_anywhere_keep_a_backup_from_application() {
    let setting = Setting::new();
    let refuses =
        Answer::Refuses(1227, "Access denied; you need (at least one of) the PROCESS privilege(s)".to_owned());
    let setting = Setting { database: setting.database.clone().fails_at("SELECT DISTINCT LEFT", refuses), ..setting };
    let Outcome { receipt, .. } = setting.back_up().await.unwrap();
    assert_eq!(receipt.grade, Grade::Filesystem, "{:?}", receipt.reasons);
    assert_eq!(receipt.indications, [Indication::IdentityNotProven]);
    assert!(receipt.reasons[0].contains("DATA DIRECTORY"), "{:?}", receipt.reasons);
}

#[tokio::test(start_paused = true)]
async fn a_live_filesystem_whose_marker_was_not_written_out_is_not_called_another_vms() {
    let setting = Setting::of(live());
    let guest = setting.guest.clone().with_places(|places| {
        ["/", "/srv/data"].iter().for_each(|mountpoint| places.inode(mountpoint, 99));
    });
    let setting = Setting { guest, ..setting };
    let Outcome { receipt, .. } = setting.back_up().await.unwrap();
    assert_eq!(receipt.grade, Grade::Crash);
    let reasons = receipt.reasons.join(" ");
    assert!(reasons.contains("not frozen at the snapshot") && !reasons.contains("another VM's"), "{reasons}");
    assert!(!receipt.indications.contains(&Indication::FilesystemNotInImage), "{:?}", receipt.indications);
}

/// Passes calls on; what is asked while there are markers is answered after a while.
struct Slow(SimulatedGuest);

const WHILE: Duration = Duration::from_millis(50);

impl Agent for Slow {
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        Box::pin(async move {
            let answer = self.0.call(request, deadline).await;
            if !self.0.markers().is_empty() && !self.0.is_frozen() {
                std::thread::sleep(WHILE);
            }
            answer
        })
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.0.release()
    }
}

/// One that hangs is waited for, and the others are written out meanwhile.
#[tokio::test(start_paused = true)]
async fn markers_are_as_old_as_the_asking_for_them() {
    let setting = Setting::new();
    let agent = SharedAgent::new(Slow(setting.guest.clone()));
    let Outcome { receipt, .. } = setting.back_up_in(World { agent: Some(agent), ..setting.world() }).await.unwrap();
    let receipt = serde_json::to_value(receipt).unwrap();
    let age = receipt["identity"]["marker_age_ms"].as_u64().unwrap();
    assert!(u128::from(age) >= WHILE.as_millis(), "{age} ms");
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_cannot_be_marked_is_backed_up_all_the_same() {
    let setting = Setting::new();
    let refusal = |places: &mut SimulatedPlaces| places.refuse("/", "Permission denied");
    let setting = Setting { guest: setting.guest.clone().with_places(refusal), ..setting };
    let Outcome { receipt, .. } = setting.back_up().await.unwrap();
    assert_eq!(receipt.grade, Grade::Filesystem, "{:?}", receipt.reasons);
    assert!(receipt.indications.contains(&Indication::IdentityNotProven), "{:?}", receipt.indications);
    assert!(receipt.reasons.join(" ").contains("Permission denied"), "{:?}", receipt.reasons);
}

#[tokio::test(start_paused = true)]
async fn a_binlog_that_is_elsewhere_than_the_guest_says_proves_nothing() {
    let setting = Setting::new();
    let marker = |places: &mut SimulatedPlaces| places.inode("/var/lib/mysql/binlog.000001", MARKER_INODE);
    let setting = Setting { guest: setting.guest.clone().with_places(marker), ..setting };
    let Outcome { receipt, .. } = setting.back_up().await.unwrap();
    assert_eq!(receipt.grade, Grade::Filesystem, "{:?}", receipt.reasons);
    assert_eq!(receipt.indications, [Indication::LogNotProven]);
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_is_off_is_clean_without_anybody_being_asked() {
    let setting = Setting::new();
    let guest = setting.guest.clone().fails_at_call(0, AgentFault::Gone);
    setting.end_guest();
    let setting = Setting { guest, ..setting };
    let Outcome { receipt, .. } = setting.back_up_as(|asked| asked.database = None).await.unwrap();
    assert_eq!(receipt.grade, Grade::Clean, "{:?}", receipt.reasons);
    assert!(receipt.plan.window.freeze.is_none() && receipt.plan.window.lock.is_none());
    assert!(receipt.plan.notes[0].contains("the VM is off"), "{:?}", receipt.plan.notes);
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_is_off_and_was_not_shut_down_is_not_clean() {
    let setting = Setting::of(live());
    let guest = setting.guest.clone().fails_at_call(0, AgentFault::Gone);
    setting.end_guest();
    let setting = Setting { guest, ..setting };
    let Outcome { receipt, .. } = setting.back_up_as(|asked| asked.database = None).await.unwrap();
    assert_eq!(receipt.grade, Grade::Crash, "{:?}", receipt.reasons);
    assert_eq!(receipt.indications, [Indication::NotUnmounted]);
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_was_started_before_the_snapshot_was_there_is_not_clean() {
    let setting = Setting::new();
    let guest = setting.guest.clone().fails_at_call(0, AgentFault::Gone);
    setting.end_guest();
    let setting = Setting { guest, ..setting };
    let lvm = setting.lvm.clone();
    let started = move || lvm.report("vg/root", "lv_attr", "owi-aos---");
    let programs = Interposing { inner: setting.lvm.clone(), on: "lvconvert", then: Arc::new(started) };
    let world = World { lvm: Lvm::with_device_dir(Arc::new(programs), setting.path("dev")), ..setting.world() };
    let Outcome { receipt, .. } = setting.back_up_of(|asked| asked.database = None, world).await.unwrap();
    assert_eq!(receipt.grade, Grade::Crash, "{:?}", receipt.reasons);
    assert!(receipt.reasons[0].contains("was the VM started"), "{:?}", receipt.reasons);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_was_not_found_is_not_said_to_be_shut_down() {
    let setting = Setting::new();
    let guest = setting.guest.clone().fails_at_call(0, AgentFault::Gone);
    setting.end_guest();
    let setting = Setting { guest, ..setting };
    let Outcome { receipt, .. } = setting.back_up().await.unwrap();
    assert_eq!(receipt.grade, Grade::Filesystem, "{:?}", receipt.reasons);
    assert_eq!(receipt.indications, [Indication::DatabaseNotInImage]);
}

#[tokio::test(start_paused = true)]
async fn the_artifact_is_the_disk() {
    let setting = Setting::new();
    setting.back_up().await.unwrap();
    let unpacked = Command::new("zstd").arg("-dc").arg(setting.path("to/b-root.img.zst")).output().unwrap();
    assert_eq!(unpacked.stdout.len(), frozen().bytes.len());
    let differ = (0..).zip(unpacked.stdout.iter().zip(&frozen().bytes)).filter(|(_, (one, other))| one != other);
    let places: Vec<usize> = differ.map(|(at, _)| at).collect();
    // But for what the guest wrote meanwhile.
    assert!(places.iter().all(|at| (places[0]..places[0] + 69).contains(at)), "zstd -dc gives another disk");
}

#[tokio::test(start_paused = true)]
async fn the_order_is_lock_freeze_snapshots_thaw_unlock() {
    let setting = Setting::new();
    setting.back_up().await.unwrap();
    let taken = setting.log.entries();
    let order = [
        "BLOCK_COMMIT",
        "FLUSH LOCAL ENGINE LOGS",
        "SHOW MASTER STATUS",
        "agent: guest-fsfreeze-freeze",
        "lvconvert",
        "lvconvert",
        "agent: guest-fsfreeze-thaw",
        "CONNECTION_ID",
        "BACKUP STAGE END",
        "lvremove",
    ];
    let mut rest = taken.iter();
    for wanted in order {
        assert!(rest.any(|entry| entry.contains(wanted)), "no {wanted} in its place: {taken:#?}");
    }
    let steps = "output cow-volumes guest-sync mark arm lock freeze snapshot thaw still-locked unlock disarm unmark evidence remove copy \
         remove publish";
    assert_eq!(setting.steps().join(" "), steps);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_copied_loses_its_snapshot_while_another_still_waits() {
    let removals = |setting: &Setting| {
        let runs = setting.path("state/runs");
        let log = std::fs::read_to_string(runs.join(&names(&runs)[0])).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let volumes = |line: Value| line["detail"]["volumes"].as_array().map_or(0, Vec::len);
        lines.filter(|line| line["step"] == "remove").map(volumes).collect::<Vec<_>>()
    };
    let setting = Setting::new();
    setting.back_up().await.unwrap();
    assert_eq!(removals(&setting), [1, 1]);

    // One that cannot go yet costs nothing but that: it goes with the last.
    let setting = Setting::new();
    (1..=2).for_each(|nth| setting.lvm.fail_program("lvremove", nth, LvmFault::Refuses));
    let outcome = setting.back_up().await.unwrap();
    assert_eq!((outcome.exit(), removals(&setting)), (Exit::Done, vec![2]));
    setting.assert_nothing_is_held("held");
}

#[tokio::test(start_paused = true)]
async fn nothing_but_the_attach_happens_between_freeze_and_thaw() {
    let setting = Setting::new();
    setting.back_up().await.unwrap();
    let taken = setting.log.entries();
    let position = |wanted: &str| taken.iter().position(|entry| entry.starts_with(wanted)).unwrap();
    let window = &taken[position("agent: guest-fsfreeze-freeze") + 1..position("agent: guest-fsfreeze-thaw")];
    let programs = window.iter().filter(|entry| entry.starts_with("program: "));
    assert!(programs.clone().all(|entry| entry.contains("lvconvert")), "{window:#?}");
    assert_eq!(programs.count(), 2, "{window:#?}");
    assert!(!window.iter().any(|entry| entry.starts_with("database: ")), "{window:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_agents_channel_is_others_while_the_disks_are_copied() {
    let setting = Setting::new();
    setting.back_up().await.unwrap();
    let taken = setting.log.entries();
    let position = |wanted: &str| taken.iter().position(|entry| entry.contains(wanted)).unwrap();
    let released = position("agent: released");
    assert!(position("BACKUP STAGE END") < released && released < position("dmsetup status"), "{taken:#?}");
    assert!(!taken[released + 1..].iter().any(|entry| entry.starts_with("agent: ")), "{taken:#?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_to_the_log_between_lock_and_unlock() {
    let setting = Setting::new();
    let log = setting.path("state/runs");
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let programs = Interposing {
        inner: setting.lvm.clone(),
        on: "lvconvert",
        then: Arc::new({
            let seen = seen.clone();
            move || seen.lock().unwrap().push(std::fs::read_to_string(log.join(&names(&log)[0])).unwrap())
        }),
    };
    let lvm = Lvm::with_device_dir(Arc::new(programs), setting.path("dev"));
    setting.back_up_in(World { lvm, ..setting.world() }).await.unwrap();
    let seen = seen.lock().unwrap();
    let steps = |text: &str| -> Vec<(String, String)> {
        let word = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| (word(&line, "step"), word(&line, "mark"))).collect()
    };
    for text in &*seen {
        let last: Vec<(String, String)> = steps(text).into_iter().rev().take(2).collect();
        assert_eq!(last, [("lock".into(), "intent".into()), ("freeze".into(), "intent".into())], "{text}");
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_log_is_closed_and_leaves_nothing() {
    for failing in [false, true] {
        let setting = Setting::new();
        if failing {
            setting.lvm.fail_program("lvconvert", 2, LvmFault::Refuses);
        }
        assert_eq!(setting.back_up().await.is_err(), failing);
        let runs = setting.path("state/runs");
        let record = RunRecord::read(&runs.join(&names(&runs)[0])).unwrap();
        assert!(record.is_closed() && record.held().is_empty() && !record.torn, "{record:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_removed_is_in_the_closing_line() {
    let setting = Setting::new();
    for nth in 1..=8 {
        setting.lvm.fail_program("lvremove", nth, LvmFault::Refuses);
    }
    let outcome = setting.back_up().await.unwrap();
    assert_eq!(outcome.exit(), Exit::NeedsPerson);
    let runs = setting.path("state/runs");
    let record = RunRecord::read(&runs.join(&names(&runs)[0])).unwrap();
    let left: Vec<String> = record.held().iter().map(ToString::to_string).collect();
    assert!(record.is_closed() && left.len() == 2, "{left:?}");
    assert!(left[0].contains("COW volume vg/stillpoint-") && left[0].ends_with("of vg/root"), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_freeze_that_succeeds_and_freezes_nothing_is_caught_on_disk() {
    let setting = Setting::of(live());
    let setting = Setting { guest: setting.guest.clone().freezes_nothing(), ..setting };
    let outcome = setting.back_up().await.unwrap();
    assert_eq!(outcome.receipt.grade, Grade::Crash);
    assert_eq!(outcome.exit(), Exit::Weaker);
    setting.assert_nothing_is_held("froze nothing");
    setting.assert_no_marker_is_left("froze nothing");
}

/// What the receipt says of each thaw: where, and what proves it.
fn thaws(receipt: Receipt) -> Vec<(String, String)> {
    let receipt = serde_json::to_value(receipt).unwrap();
    let thaws = receipt["window"]["thaw"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    thaws.map(|one| (text(&one["mountpoint"]), text(&one["proof"]["state"]))).collect()
}

fn both_are(state: &str) -> Vec<(String, String)> {
    DISKS.iter().map(|(mountpoint, ..)| ((*mountpoint).to_owned(), state.to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_guest_is_seen_live_on_its_disks_after_the_thaw() {
    let setting = Setting::new();
    let agent = SharedAgent::new(Shown::new(&setting, 0));
    let outcome = setting.back_up_in(World { agent: Some(agent), ..setting.world() }).await.unwrap();
    assert_eq!((outcome.receipt.grade, outcome.exit()), (Grade::Application, Exit::Done));
    assert_eq!(thaws(outcome.receipt), both_are("seen-live"));
    assert_eq!(setting.steps().iter().filter(|step| *step == "thaw").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thaw_of_what_no_disk_shows_is_proven_by_the_removal_of_the_markers() {
    let setting = Setting::new();
    assert_eq!(thaws(setting.back_up().await.unwrap().receipt), both_are("written"));
}

#[tokio::test(start_paused = true)]
async fn a_thaw_that_nothing_shows_is_said_to_be_unproven_and_costs_no_grade() {
    let setting = Setting::new();
    let hangs = |places: &mut SimulatedPlaces| places.hang("/srv/data");
    let setting = Setting { guest: setting.guest.clone().with_places(hangs), ..setting };
    let outcome = setting.back_up().await.unwrap();
    assert_eq!((outcome.receipt.grade, outcome.exit()), (Grade::Application, Exit::Done));
    let states: Vec<_> = thaws(outcome.receipt).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["written", "not-proven"]);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_looks_frozen_after_its_thaw_is_thawed_again() {
    let setting = Setting::new();
    let agent = SharedAgent::new(Shown::new(&setting, 1));
    let outcome = setting.back_up_in(World { agent: Some(agent), ..setting.world() }).await.unwrap();
    assert_eq!((outcome.receipt.grade, outcome.exit()), (Grade::Application, Exit::Done));
    assert_eq!(thaws(outcome.receipt), both_are("seen-live"));
    assert_eq!(setting.steps().iter().filter(|step| *step == "thaw").count(), 2);
    setting.assert_no_marker_is_left("thawed again");
}

/// No disk shows it here, as none does of an XFS.
#[tokio::test(start_paused = true)]
async fn a_reply_that_was_taken_for_that_to_the_thaw_is_found_out_when_nobody_waits_any_more() {
    let setting = Setting::new();
    let setting = Setting { guest: setting.guest.clone().answers_the_first_thaw_for_another(), ..setting };
    let outcome = setting.back_up().await.unwrap();
    assert_eq!((outcome.receipt.grade, outcome.exit()), (Grade::Application, Exit::Done));
    setting.assert_nothing_is_held("answered for another");
    assert_eq!(setting.steps().iter().filter(|step| *step == "thaw").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_ends_in_the_window_is_gone_and_needs_nobody() {
    // The second time right after a thaw that was believed.
    for last in ["guest-fsfreeze-thaw", "guest-fsfreeze-status"] {
        let setting = Setting::new();
        let (lvm, guest) = (setting.lvm.clone(), setting.guest.clone());
        let ends = move || {
            end(&lvm);
            drop(guest.clone().fails_at(last, AgentFault::Gone));
        };
        let programs = Interposing { inner: setting.lvm.clone(), on: "lvconvert", then: Arc::new(ends) };
        let world = World { lvm: Lvm::with_device_dir(Arc::new(programs), setting.path("dev")), ..setting.world() };
        let failure = setting.back_up_in(world).await.unwrap_err();
        assert_eq!((failure.cause.kind, failure.exit()), (Kind::VmGone, Exit::Failed), "{last}: {failure}");
        assert_eq!((setting.lvm.volumes(), setting.files()), (vec!["vg/data".into(), "vg/root".into()], Vec::new()));
        let runs = setting.path("state/runs");
        let left = RunRecord::read(&runs.join(&names(&runs)[0])).unwrap().held();
        assert!(!left.iter().any(|held| matches!(held, Held::Frozen { .. })), "{last}: {left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_its_disk_says_is_frozen_needs_a_person_and_keeps_its_watchdog() {
    let setting = Setting::new();
    let setting = Setting { guest: setting.guest.clone().with_places(|places| places.hang("/srv/data")), ..setting };
    let agent = SharedAgent::new(Shown::new(&setting, usize::MAX));
    let failure = setting.back_up_in(World { agent: Some(agent), ..setting.world() }).await.unwrap_err();
    assert_eq!((failure.cause.kind, failure.exit()), (Kind::GuestMayBeFrozen, Exit::NeedsPerson), "{failure}");
    let said = failure.to_string();
    assert!(said.contains("the agent says") && said.contains("vg/data volume 0"), "{said}");
    assert_eq!(setting.guest.watchdogs().len(), 1, "nothing else thaws it");
    assert_eq!(setting.files(), [""; 0]);
    let runs = setting.path("state/runs");
    let record = RunRecord::read(&runs.join(&names(&runs)[0])).unwrap();
    let left: Vec<String> = record.held().iter().map(ToString::to_string).collect();
    assert!(left.iter().any(|held| held.contains("the guest's filesystems, frozen")), "{left:?}");
    assert!(!left.iter().any(|held| held.contains("watchdog")), "whoever recovers would disarm it: {left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_writes_to_all_its_filesystems_is_thawed_whatever_its_disks_show() {
    let setting = Setting::new();
    let agent = SharedAgent::new(Shown::new(&setting, usize::MAX));
    let outcome = setting.back_up_in(World { agent: Some(agent), ..setting.world() }).await.unwrap();
    assert_eq!((outcome.receipt.grade, outcome.exit()), (Grade::Application, Exit::Done));
    assert_eq!(thaws(outcome.receipt), both_are("written"));
    let runs = setting.path("state/runs");
    assert_eq!(RunRecord::read(&runs.join(&names(&runs)[0])).unwrap().held(), []);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_fails_does_not_hide_a_guest_that_looks_frozen() {
    let setting = Setting::new();
    setting.lvm.fail_program("lvconvert", 2, LvmFault::Refuses);
    let agent = SharedAgent::new(Shown::new(&setting, usize::MAX));
    let failure = setting.back_up_in(World { agent: Some(agent), ..setting.world() }).await.unwrap_err();
    assert_eq!((failure.cause.kind, failure.exit()), (Kind::ProgramFailed, Exit::NeedsPerson), "{failure}");
    assert!(failure.to_string().contains("its disk says that it is frozen"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_freeze_that_the_disks_do_not_show_is_said_at_once() {
    let setting = Setting::new();
    let setting = Setting { guest: setting.guest.clone().freezes_nothing(), ..setting };
    let agent = SharedAgent::new(Shown::new(&setting, 0));
    let notes = Arc::new(Notes::default());
    // Nobody in the window waits for a disk: an attach takes as long as a disk needs to answer, as real ones do.
    let slowly = Arc::new(|| std::thread::sleep(Duration::from_millis(700)));
    let programs = Interposing { inner: setting.lvm.clone(), on: "lvconvert", then: slowly };
    let lvm = Lvm::with_device_dir(Arc::new(programs), setting.path("dev"));
    let world = World { agent: Some(agent), lvm, ..setting.world() };
    let outcome = setting.back_up_told(|_| (), world, Listeners::default().with(notes.clone())).await.unwrap();
    assert_eq!((outcome.receipt.grade, outcome.exit()), (Grade::Crash, Exit::Weaker));
    let notes = notes.0.lock().unwrap();
    for disk in ["vg/root", "vg/data"] {
        let said = |note: &&String| note.contains(disk) && note.contains("not frozen");
        assert_eq!(notes.iter().filter(said).count(), 1, "{disk}: {notes:?}");
    }
}

/// The notes of a run.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Listener for Notes {
    fn hear(&self, event: &Event) {
        if let Event::Note { text } = event {
            self.0.lock().unwrap().push(text.clone());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watchdog_waits_in_the_guest_for_as_long_as_the_window_lasts() {
    let setting = Setting::new();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (guest, told) = (setting.guest.clone(), seen.clone());
    let then = Arc::new(move || told.lock().unwrap().extend(guest.watchdogs()));
    let programs = Interposing { inner: setting.lvm.clone(), on: "lvconvert", then };
    let lvm = Lvm::with_device_dir(Arc::new(programs), setting.path("dev"));
    let receipt = setting.back_up_in(World { lvm, ..setting.world() }).await.unwrap().receipt;
    assert_eq!(seen.lock().unwrap().len(), 2, "one, seen at each attach");
    assert_eq!(setting.guest.watchdogs(), [""; 0]);
    assert_eq!(serde_json::to_value(receipt.window).unwrap()["watchdog"], "in-time");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_the_watchdog_ended_is_found_out() {
    let setting = Setting::new();
    let guest = setting.guest.clone();
    let programs =
        Interposing { inner: setting.lvm.clone(), on: "lvconvert", then: Arc::new(move || guest.watchdog_acts()) };
    let lvm = Lvm::with_device_dir(Arc::new(programs), setting.path("dev"));
    let Outcome { receipt, .. } = setting.back_up_in(World { lvm, ..setting.world() }).await.unwrap();
    assert_eq!(receipt.grade, Grade::Crash, "{:?}", receipt.reasons);
    assert_eq!(receipt.indications, [Indication::ThawedEarly]);
    assert!(receipt.reasons.join(" ").contains("watchdog"), "{:?}", receipt.reasons);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_can_have_no_watchdog_is_backed_up_unless_one_is_required() {
    let blocked = || {
        let setting = Setting::new();
        Setting { guest: setting.guest.clone().blocks("guest-exec"), ..setting }
    };
    let without_database = |asked: &mut Asked| asked.database = Some("none".into());
    assert!(blocked().back_up_as(without_database).await.is_ok());
    let setting = blocked();
    let require = |asked: &mut Asked| {
        without_database(asked);
        asked.watchdog = Some(WatchdogWish::Require);
    };
    let failure = setting.back_up_as(require).await.unwrap_err();
    assert!(failure.to_string().contains("no watchdog can be armed"), "{failure}");
    setting.assert_nothing_is_held("no watchdog");
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_is_found_frozen_needs_a_person_and_is_left_as_it_is() {
    let setting = Setting::new();
    let mut agent = SharedAgent::new(setting.guest.clone());
    agent::freeze(&mut agent, &FreezeScope::All, Duration::from_secs(1)).await.unwrap();
    let failure = setting.back_up().await.unwrap_err();
    assert_eq!((failure.cause.kind, failure.exit()), (Kind::GuestFrozen, Exit::NeedsPerson), "{failure}");
    assert!(failure.cause.hint().contains("guest-fsfreeze-thaw"), "{}", failure.cause.hint());
    assert!(setting.guest.is_frozen(), "whoever froze it may need it frozen");
}

#[tokio::test(start_paused = true)]
async fn any_fault_of_the_agent_at_any_of_its_calls_leaves_nothing_behind() {
    let calls = {
        let healthy = Setting::new();
        healthy.back_up().await.unwrap();
        healthy.guest.calls()
    };
    for nth in 0..calls {
        for fault in AgentFault::ALL {
            let case = format!("agent call {nth}: {fault:?}");
            let setting = Setting::new();
            let setting = Setting { guest: setting.guest.clone().fails_at_call(nth, fault), ..setting };
            let result = setting.back_up().await;
            assert_all_or_nothing(&setting, &result, &case);
            if setting.guest.is_frozen() {
                // Nobody can thaw a guest whose agent is gone: it has to be said, loudly.
                assert_eq!(fault, AgentFault::Gone, "{case}: the guest is frozen");
                assert_eq!(result.unwrap_err().exit(), Exit::NeedsPerson, "{case}");
                continue;
            }
            setting.assert_nothing_is_held(&case);
            if fault != AgentFault::Gone {
                setting.assert_no_marker_is_left(&case);
            }
            if let Err(failure) = result {
                let gone = fault == AgentFault::Gone && failure.exit() == Exit::NeedsPerson;
                assert!(failure.exit() == Exit::Failed || gone, "{case}: {failure}: {:?}", failure.exit());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_fault_of_the_database_at_any_of_its_statements_leaves_nothing_behind() {
    let statements = {
        let healthy = Setting::new();
        healthy.back_up().await.unwrap();
        healthy.database.statements()
    };
    for nth in 1..=statements {
        let refused = Answer::Refuses(1205, "Lock wait timeout exceeded".to_owned());
        for (name, answer) in [("refused", refused), ("lost", Answer::LosesSession), ("hangs", Answer::Hangs)] {
            let setting = Setting::new();
            let case = format!("statement {nth} {name}");
            let setting = Setting { database: setting.database.clone().fails_at_statement(nth, answer), ..setting };
            let result = setting.back_up().await;
            assert_all_or_nothing(&setting, &result, &case);
            setting.assert_nothing_is_held(&case);
            setting.assert_no_marker_is_left(&case);
            match result {
                // After the snapshot a database that fails weakens the grade, and never fails the backup.
                Ok(outcome) => assert!(outcome.receipt.grade >= Grade::Filesystem, "{case}"),
                Err(failure) => assert_eq!(failure.exit(), Exit::Failed, "{case}: {failure}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_fault_of_lvm_at_any_of_its_calls_leaves_nothing_behind() {
    let calls = {
        let healthy = Setting::new();
        healthy.back_up().await.unwrap();
        healthy.lvm.calls()
    };
    for nth in 1..=calls {
        for fault in [LvmFault::Refuses, LvmFault::LosesReply, LvmFault::LeavesSuspended, LvmFault::IsBusy] {
            let case = format!("lvm call {nth}: {fault:?}");
            let setting = Setting::new();
            setting.lvm.fail_call(nth, fault);
            let result = setting.back_up().await;
            assert!(!setting.guest.is_frozen(), "{case}: the guest is frozen");
            assert!(!setting.database.is_locked(), "{case}: the tables are locked");
            for disk in ["vg/root", "vg/data"] {
                assert!(!setting.lvm.is_suspended(&disk.parse().unwrap()), "{case}: {disk} is suspended");
            }
            let left = setting.lvm.volumes() != ["vg/data", "vg/root"];
            match result {
                Ok(outcome) => assert_eq!(left, outcome.exit() == Exit::NeedsPerson, "{case}: {:?}", outcome.left),
                Err(failure) => {
                    assert_eq!(setting.files(), [""; 0], "{case}: {failure}");
                    assert_eq!(left, failure.exit() == Exit::NeedsPerson, "{case}: {failure}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_dies_inside_the_window_leaves_grade_filesystem() {
    let healthy = Setting::new();
    healthy.back_up().await.unwrap();
    let entries = healthy.log.entries();
    let thaw = entries.iter().position(|entry| entry.starts_with("agent: guest-fsfreeze-thaw")).unwrap();
    let sent = |entry: &&String| entry.starts_with("database: ") && *entry != "database: close";
    let first_after_thaw = entries[..thaw].iter().filter(sent).count() + 1;

    let setting = Setting::new();
    let dying = setting.database.clone().fails_at_statement(first_after_thaw, Answer::LosesSession);
    let setting = Setting { database: dying, ..setting };
    let outcome = setting.back_up().await.unwrap();
    assert_eq!(outcome.receipt.grade, Grade::Filesystem);
    assert_eq!(outcome.exit(), Exit::Weaker);
    assert!(outcome.receipt.reasons[0].contains("lock was lost"), "{:?}", outcome.receipt.reasons);
}

#[tokio::test(start_paused = true)]
async fn engine_logs_that_the_server_does_not_flush_leave_grade_filesystem_and_are_in_the_receipt() {
    let setting = Setting::new();
    let refuses = Answer::Refuses(1227, "Access denied; you need the RELOAD privilege".to_owned());
    let setting =
        Setting { database: setting.database.clone().fails_at("FLUSH LOCAL ENGINE LOGS", refuses), ..setting };
    let Outcome { receipt, .. } = setting.back_up().await.unwrap();
    assert_eq!(receipt.grade, Grade::Filesystem);
    assert_eq!(receipt.indications, [Indication::EngineLogsNotFlushed]);
    for word in ["MariaDB 10.11.19", "innodb_flush_log_at_trx_commit = 1", "RELOAD"] {
        assert!(receipt.reasons[0].contains(word), "{:?}", receipt.reasons);
    }
    let window = serde_json::to_value(&receipt.window).unwrap();
    assert_eq!(window["engine_logs"]["state"], "not-flushed", "{window}");
    assert_eq!(window["lock"]["state"], "held-through", "{window}");
    setting.assert_nothing_is_held("engine logs");
    setting.assert_no_marker_is_left("engine logs");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_may_not_see_the_binlog_is_refused_before_anything_is_made_or_locked() {
    let setting = Setting::new();
    let refuses = Answer::Refuses(1227, "Access denied; you need BINLOG MONITOR".to_owned());
    let database = setting.database.clone().with_grants("GRANT RELOAD ON *.* TO `root`@`localhost`");
    let setting = Setting { database: database.fails_at("SHOW MASTER STATUS", refuses), ..setting };
    let failure = setting.back_up().await.unwrap_err();
    assert_eq!((failure.cause.kind, failure.exit()), (Kind::AccessDenied, Exit::Usage), "{failure}");
    let grant = "GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO 'root'@'localhost'";
    assert!(failure.cause.hint().contains(grant), "{}", failure.cause.hint());
    let entries = setting.log.entries();
    let made = ["lvcreate", "BACKUP STAGE", "guest-fsfreeze-freeze"];
    assert!(!entries.iter().any(|entry| made.iter().any(|word| entry.contains(word))), "{entries:#?}");
}

#[tokio::test(start_paused = true)]
async fn any_fault_under_the_lock_leaves_the_database_as_it_was_set() {
    let set =
        |setting: Setting| Setting { database: setting.database.clone().with_flush_log_at_trx_commit(0), ..setting };
    let statements = {
        let healthy = set(Setting::new());
        assert_eq!(healthy.back_up().await.unwrap().receipt.grade, Grade::Application);
        healthy.database.statements()
    };
    for nth in 1..=statements {
        for answer in [Answer::Refuses(1227, "Access denied".to_owned()), Answer::LosesSession, Answer::Hangs] {
            let setting = set(Setting::new());
            let setting = Setting { database: setting.database.clone().fails_at_statement(nth, answer), ..setting };
            setting.back_up().await.ok();
            setting.assert_nothing_is_held(&format!("statement {nth}"));
            setting.assert_no_marker_is_left(&format!("statement {nth}"));
            assert_eq!(setting.database.flush_log_at_trx_commit(), 0, "statement {nth}");
        }
    }
}

/// Passes calls on; before the first look at a snapshot's state, the guest's writes fill its COW.
struct Filling(Arc<SimulatedLvm>);

impl Programs for Filling {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        if invocation.to_string().starts_with("dmsetup status") {
            let snapshots = self.0.volumes().into_iter().filter(|name| name.starts_with("vg/stillpoint-"));
            for snapshot in snapshots {
                self.0.fill_cow(&snapshot.parse().unwrap(), Bytes(400 << 20));
            }
        }
        self.0.output(invocation)
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        self.0.start(invocation)
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_cow_is_called_that_and_not_an_io_error() {
    let setting = Setting::new();
    let lvm = Lvm::with_device_dir(Arc::new(Filling(setting.lvm.clone())), setting.path("dev"));
    let result = setting.back_up_in(World { lvm, ..setting.world() }).await;
    assert_all_or_nothing(&setting, &result, "full COW");
    setting.assert_nothing_is_held("full COW");
    setting.assert_no_marker_is_left("full COW");
    let failure = result.unwrap_err();
    assert_eq!(failure.cause.kind, Kind::CowFull, "{failure}");
    assert_eq!(failure.exit(), Exit::Failed);
}

/// Passes calls on, and panics in the middle of the window.
struct Panicking(Arc<SimulatedLvm>);

impl Programs for Panicking {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        assert!(!invocation.to_string().starts_with("lvconvert"), "a bug of ours");
        self.0.output(invocation)
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        let inner = self.0.start(invocation)?;
        Ok(Box::new(Acting { inner, then: Arc::new(|| panic!("a bug of ours")) }))
    }
}

/// Does something at the moment at which a program that waited may go on: between freeze and thaw.
struct Acting {
    inner: Box<dyn Started>,
    then: Arc<dyn Fn() + Send + Sync>,
}

impl Started for Acting {
    fn pid(&self) -> Option<u32> {
        self.inner.pid()
    }

    fn has_ended(&mut self, within: Duration) -> Result<bool, ProgramError> {
        // A mere look comes before that.
        if !within.is_zero() {
            (self.then)();
        }
        self.inner.has_ended(within)
    }

    fn ask_to_end(&mut self) {
        self.inner.ask_to_end();
    }

    fn end(self: Box<Self>) -> Result<Output, ProgramError> {
        self.inner.end()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_inside_the_window_thaws_unlocks_and_removes() {
    let setting = Arc::new(Setting::new());
    let lvm = Lvm::with_device_dir(Arc::new(Panicking(setting.lvm.clone())), setting.path("dev"));
    let panicking = setting.clone();
    let run = tokio::spawn(async move {
        let world = World { lvm, ..panicking.world() };
        panicking.back_up_in(world).await.map(drop)
    });
    assert!(run.await.unwrap_err().is_panic());
    setting.assert_nothing_is_held("panic");
    setting.assert_no_marker_is_left("panic");
    assert_eq!(setting.files(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_run_log_that_cannot_be_written_stops_the_run_before_anything_is_taken() {
    let setting = Setting::new();
    std::fs::write(setting.path("state"), "no folder").unwrap();
    let failure = setting.back_up().await.unwrap_err();
    assert_eq!(failure.cause.kind, Kind::RunLog, "{failure}");
    assert_eq!(failure.exit(), Exit::Failed);
    setting.assert_nothing_is_held("no run log");
    setting.assert_no_marker_is_left("no run log");
    assert!(!setting.log.entries().iter().any(|entry| entry.contains("lvcreate")));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_meanwhile_fails_the_run_and_is_not_overwritten() {
    let setting = Setting::new();
    let taken = setting.path("to/b-root.img.zst");
    let programs = Interposing {
        inner: setting.lvm.clone(),
        on: "lvremove",
        then: Arc::new(move || std::fs::write(&taken, "theirs").unwrap()),
    };
    let lvm = Lvm::with_device_dir(Arc::new(programs), setting.path("dev"));
    let failure = setting.back_up_in(World { lvm, ..setting.world() }).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Usage, "{failure}");
    setting.assert_nothing_is_held("name taken");
    setting.assert_no_marker_is_left("name taken");
    assert_eq!(std::fs::read_to_string(setting.path("to/b-root.img.zst")).unwrap(), "theirs");
    assert!(!setting.files().contains(&"b.json".to_owned()), "{:?}", setting.files());
}

/// Passes calls on; does something before each of one program.
struct Interposing {
    inner: Arc<SimulatedLvm>,
    on: &'static str,
    then: Arc<dyn Fn() + Send + Sync>,
}

impl Programs for Interposing {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        if invocation.to_string().starts_with(self.on) {
            (self.then)();
        }
        self.inner.output(invocation)
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        let inner = self.inner.start(invocation)?;
        let interposes = invocation.to_string().starts_with(self.on);
        Ok(if interposes { Box::new(Acting { inner, then: self.then.clone() }) } else { inner })
    }
}

#[tokio::test(start_paused = true)]
async fn a_taken_name_is_refused_before_anything_in_the_guest_is_touched() {
    let setting = Setting::new();
    std::fs::write(setting.path("to/b.json"), "theirs").unwrap();
    let failure = setting.back_up().await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Usage, "{failure}");
    assert!(failure.to_string().contains("exists already"), "{failure}");
    assert_eq!(setting.files(), ["b.json"]);
    let touched = ["lvcreate", "places mark", "guest-fsfreeze-freeze", "BACKUP STAGE"];
    let entries = setting.log.entries();
    assert!(!entries.iter().any(|entry| touched.iter().any(|word| entry.contains(word))), "{entries:#?}");
}

/// Passes calls on, and asks the run to stop before one of them.
struct Interrupting<P> {
    inner: P,
    stop: Stop,
    calls: AtomicUsize,
    at: usize,
}

impl<P> Interrupting<P> {
    fn new(inner: P, stop: Stop, at: usize) -> Self {
        Self { inner, stop, calls: AtomicUsize::new(0), at }
    }

    fn arrive(&self) {
        if self.calls.fetch_add(1, Ordering::SeqCst) == self.at {
            self.stop.ask(SIGTERM);
        }
    }
}

impl Programs for Interrupting<Arc<SimulatedLvm>> {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        self.arrive();
        self.inner.output(invocation)
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        self.arrive();
        self.inner.start(invocation)
    }
}

impl Agent for Interrupting<SimulatedGuest> {
    fn call(&mut self, request: Request, deadline: Duration) -> BoxFuture<'_, Result<Value, AgentError>> {
        self.arrive();
        self.inner.call(request, deadline)
    }

    fn release(&mut self) -> BoxFuture<'_, ()> {
        self.inner.release()
    }
}

fn assert_stopped(setting: &Setting, result: Result<Outcome, Failure>, case: &str) {
    assert_all_or_nothing(setting, &result, case);
    setting.assert_nothing_is_held(case);
    setting.assert_no_marker_is_left(case);
    if let Err(failure) = result {
        assert_eq!(failure.exit(), Exit::Failed, "{case}: {failure}");
        assert!(failure.to_string().contains("stopped by SIGTERM"), "{case}: {failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_at_any_program_undoes_everything_before_it() {
    let healthy = Setting::new();
    healthy.back_up().await.unwrap();
    for at in 0..healthy.lvm.calls() {
        let setting = Setting::new();
        let programs = Interrupting::new(setting.lvm.clone(), setting.stop.clone(), at);
        let lvm = Lvm::with_device_dir(Arc::new(programs), setting.path("dev"));
        let result = setting.back_up_in(World { lvm, ..setting.world() }).await;
        assert_stopped(&setting, result, &format!("signal at program {at}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_at_any_agent_call_undoes_everything_before_it() {
    let healthy = Setting::new();
    healthy.back_up().await.unwrap();
    for at in 0..healthy.guest.calls() {
        let setting = Setting::new();
        let agent = SharedAgent::new(Interrupting::new(setting.guest.clone(), setting.stop.clone(), at));
        let result = setting.back_up_in(World { agent: Some(agent), ..setting.world() }).await;
        assert_stopped(&setting, result, &format!("signal at agent call {at}"));
    }
}
