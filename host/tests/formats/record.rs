//! Records what the program writes now, on a simulated host: `fixtures/formats/record`. Times and random names are fixed, so
//! that recording again shows what changed and nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use guest_bridge::agent::{SharedAgent, SimulatedGuest};
use guest_bridge::call_log::CallLog;
use guest_bridge::database::scripted::Outcome as Answer;
use guest_bridge::database::simulated::SimulatedMariaDb;
use guest_bridge::places::{DeviceNumber, MarkerName};
use lvm::programs::{Invocation, Output, ProgramError, Programs, Started};
use lvm::simulated::{Fault, SimulatedLvm};
use lvm::{Bytes, Lvm};
use stillpoint::ask::config::Config;
use stillpoint::ask::connect::World;
use stillpoint::ask::job::{Asked, Job};
use stillpoint::backup::destination::Destination;
use stillpoint::backup::plan::Plan;
use stillpoint::backup::survey::Survey;
use stillpoint::backup::{self, Outcome};
use stillpoint::clock::Clock;
use stillpoint::doctor::examine;
use stillpoint::documents::clean::{
    Clean, CleanOutcome, HoldingProcess, NotLookedAt, OnTop, RunLife, RunOfVolume, Stale, StaleKind,
};
use stillpoint::documents::diagnosis::Diagnosis;
use stillpoint::documents::plan;
use stillpoint::documents::receipt::{Identity, Receipt, ThawProof};
use stillpoint::failure::{Cause, Failure};
use stillpoint::recover::{Reach, recover_all, report, this_boot};
use stillpoint::run::entry::{Entry, Fact, Mark};
use stillpoint::run::event::Listeners;
use stillpoint::stop::Stop;
use stillpoint_tests::machine::guest_image::{BINLOG_INODE, GuestImage, MARKER_INODE};
use tempfile::TempDir;

use crate::files::repository;
use crate::image::checked;

/// What the simulated server says of its binlog is true of this one.
const BINLOG: &[u8] = include_bytes!("../../../fixtures/binlog/mariadb-10.11.000001");

/// As every recorded run is called.
const RUN: &str = "20261121t195923z4f1a09c2d7e3";
/// And the one that was cut off, beside another.
const CUT_OFF_RUN: &str = "20261121t195923z4f1a09c2d7e4";

/// A host with `vg/root` and `vg/data`, their guest, and its database.
struct Setting {
    folder: TempDir,
    lvm: Arc<SimulatedLvm>,
    guest: SimulatedGuest,
    database: SimulatedMariaDb,
    log: CallLog,
}

impl Setting {
    /// `debugfs` is what is done to the filesystems before.
    fn new(debugfs: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = CallLog::new();
        let image = GuestImage::make(BINLOG, debugfs.as_slice());
        let guest = SimulatedGuest::new(log.clone(), ["/", "/srv/data"]).with_places(|places| {
            ["/", "/srv/data"].iter().for_each(|mountpoint| places.inode(mountpoint, MARKER_INODE));
            places.inode("/var/lib/mysql/binlog.000001", BINLOG_INODE);
        });
        let (dev, marked, bytes) = (folder.path().join("dev"), guest.clone(), image.bytes.clone());
        let lvm = SimulatedLvm::new(&dev.clone(), move |call| {
            if call.starts_with("program: lvconvert") {
                flush(&marked, &image, &dev);
            }
        });
        lvm.add_vg("vg", Bytes(400 << 20));
        for disk in ["vg/root", "vg/data"] {
            lvm.add_lv(&disk.parse().unwrap(), &bytes);
            // A guest runs from it.
            lvm.report(disk, "lv_attr", "-wi-ao----");
        }
        std::fs::create_dir(folder.path().join("backup")).unwrap();
        Self { lvm: Arc::new(lvm), guest, database: SimulatedMariaDb::new(log.clone()), folder, log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn world(&self, programs: Arc<dyn Programs>) -> World {
        World {
            lvm: Lvm::with_device_dir(programs, self.path("dev")),
            agent: Some(SharedAgent::new(self.guest.clone())),
            database: Some(self.database.opener()),
            session: None,
            guest_login: None,
            guardian: None,
            clock: Clock::fixed(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_291_163_250)),
        }
    }

    fn job(&self) -> Job {
        Job::new(self.asked(), &Config::default()).unwrap()
    }

    fn asked(&self) -> Asked {
        Asked {
            disks: vec!["vg/root".into(), "vg/data".into()],
            agent: Some("unix:/run/qga".into()),
            database: Some("agent".into()),
            state_dir: Some(self.path("state")),
            ..Asked::default()
        }
    }

    async fn back_up(&self) -> Result<Outcome, Failure> {
        self.back_up_with(self.lvm.clone()).await
    }

    async fn back_up_with(&self, programs: Arc<dyn Programs>) -> Result<Outcome, Failure> {
        let destination = Destination::Folder { folder: self.path("backup"), name: "b".into() };
        let world = self.world(programs);
        backup::run(&self.job(), &destination, &world, Listeners::default(), &Stop::default()).await
    }

    async fn diagnosis(&self) -> Diagnosis {
        let asked = Asked { database: Some("tcp:127.0.0.1:3306".into()), ..self.asked() };
        let (job, world) = (Job::new(asked, &Config::default()).unwrap(), self.world(self.lvm.clone()));
        examine(&job, &world, Some(Listeners::default()), &Stop::default()).await.unwrap().document()
    }

    async fn plan(&self) -> plan::Plan {
        let (job, world) = (self.job(), self.world(self.lvm.clone()));
        let survey = Survey::take(&job, &world, &Stop::default()).await.unwrap();
        Plan::make(&job, &survey).unwrap().document()
    }

    fn run_log(&self) -> String {
        run_log(&self.path("state/runs"))
    }

    fn statements_before_thaw(&self) -> usize {
        let entries = self.log.entries();
        let before = entries.iter().take_while(|entry| !entry.starts_with("agent: guest-fsfreeze-thaw"));
        before.filter(|entry| entry.starts_with("database: ") && *entry != "database: close").count()
    }

    /// The text as it would be on any machine.
    fn anywhere(&self, text: &str) -> String {
        text.replace(self.folder.path().to_str().unwrap(), "/srv")
    }
}

/// What a freeze does: what the guest wrote before comes onto its disks.
fn flush(guest: &SimulatedGuest, image: &GuestImage, dev: &Path) {
    for (path, disk, minor) in [("/", "vg/root", 0), ("/srv/data/", "vg/data", 1)] {
        let name = |marker: &String| marker.strip_prefix(path)?.parse::<MarkerName>().ok();
        if let Some(name) = guest.markers().iter().find_map(name) {
            image.mark(&dev.join(disk), &name.content(DeviceNumber { major: 253, minor }));
        }
    }
}

fn run_log(runs: &Path) -> String {
    let logs: Vec<_> = std::fs::read_dir(runs).unwrap().map(|log| log.unwrap().path()).collect();
    let [log] = &*logs else { panic!("one run, one log: {logs:?}") };
    std::fs::read_to_string(log).unwrap()
}

/// Passes calls on; keeps the run log as it is before the first attach, in the window.
struct CutOff {
    lvm: Arc<SimulatedLvm>,
    runs: PathBuf,
    log: std::sync::Mutex<Option<String>>,
}

impl Programs for CutOff {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        self.lvm.output(invocation)
    }

    /// Before the lock; and between lock and unlock nothing is written.
    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        self.log.lock().unwrap().get_or_insert_with(|| run_log(&self.runs));
        self.lvm.start(invocation)
    }
}

fn fixed_receipt(mut receipt: Receipt) -> Receipt {
    receipt.run = RUN.to_owned();
    receipt.window.window_ms = receipt.window.window_ms.map(|_| 20);
    receipt.window.stall_ms = receipt.window.stall_ms.map(|_| 23);
    if let Some(Identity::LookedFor { marker_age_ms, .. }) = &mut receipt.identity {
        *marker_age_ms = marker_age_ms.map(|_| 12);
    }
    for thawed in &mut receipt.window.thaw {
        if let ThawProof::SeenLive { after_ms } = &mut thawed.proof {
            *after_ms = 8;
        }
    }
    for (number, disk) in (1..).zip(&mut receipt.disks) {
        // A marker is random.
        disk.raw_blake3 = format!("{number:064x}");
        disk.stored_blake3 = format!("{:064x}", number + 16);
        disk.stored_bytes = 1400;
        disk.copy_ms = 240;
        disk.cow.points = vec![(18, 8192), (280, 8192)];
    }
    receipt.plan = fixed_plan(receipt.plan);
    receipt
}

/// What depends on how fast this machine is.
fn fixed_diagnosis(mut diagnosis: Diagnosis) -> Diagnosis {
    for finding in &mut diagnosis.findings {
        match &*finding.check {
            "agent" => finding.what = "qemu-ga 7.2.22 at unix:/run/qga answers in 3 ms".to_owned(),
            "freeze-test" => finding.what = "the guest froze 2 filesystems in 20 ms, and thawed in 3 ms".to_owned(),
            _ => {}
        }
    }
    if let Some(test) = &mut diagnosis.freeze_test {
        (test.freeze_ms, test.thaw_ms) = (20, 3);
    }
    diagnosis
}

fn fixed_plan(mut plan: plan::Plan) -> plan::Plan {
    for setting in &mut plan.settings {
        if setting.name == "threads" {
            setting.value = "2".to_owned();
        }
    }
    plan
}

fn fixed_run_log(text: &str) -> String {
    let entries: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let Mark::Begun(begun) = &entries[0].mark else { panic!("{text}") };
    let run = begun.run.to_string();
    let mut fixed: String = entries.into_iter().enumerate().map(|(number, entry)| fixed_line(number, entry)).collect();
    fixed = fixed.replace(&run, RUN);
    let random: Vec<String> = fixed.split(".partial-").skip(1).map(|rest| rest[..16].to_owned()).collect();
    let markers: Vec<String> = fixed.split(".stillpoint-").skip(1).map(|rest| rest[..32].to_owned()).collect();
    for marker in markers {
        fixed = fixed.replace(&marker, "4f1a09c2d7e34f1a09c2d7e34f1a09c2");
    }
    for (number, random) in random.iter().enumerate() {
        fixed = fixed.replace(random, &format!("{:016x}", 0x4f1a_09c2_d7e3_0000_u64 + number as u64));
    }
    fixed
}

fn fixed_line(number: usize, mut entry: Entry) -> String {
    entry.elapsed_ms = 10 * number as u64;
    match &mut entry.mark {
        Mark::Begun(begun) => {
            begun.pid = 4711;
            begun.boot_id = "5f0f1c51-5ac4-4b1c-8a3e-1f7d3c8f2a60".to_owned();
        }
        Mark::Done { detail: Some(fact), .. } => match fact {
            Fact::Locked { waited_ms, .. } => *waited_ms = 2,
            Fact::Thawed { window_ms, .. } => *window_ms = 20,
            Fact::Unlocked { stall_ms } => *stall_ms = 23,
            // A marker is random, and takes more room or less.
            Fact::Copied { disks } => disks.iter_mut().for_each(|disk| disk.stored_bytes = 1400),
            _ => {}
        },
        _ => {}
    }
    serde_json::to_string(&entry).unwrap() + "\n"
}

fn pretty(document: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(document).unwrap() + "\n"
}

#[tokio::test]
#[ignore = "rewrites fixtures/formats/present, docs/schema and docs/formats.md"]
async fn record() {
    let folder = repository("fixtures/formats/present");
    std::fs::create_dir_all(&folder).unwrap();
    let keep = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();

    let planned = Setting::new(None);
    keep("plan.json", planned.anywhere(&pretty(&fixed_plan(planned.plan().await))));

    // An agent whose programs are blocked, and a clock that is a minute ahead.
    let ill = Setting::new(None);
    let guest = ill.guest.clone().blocks("guest-exec").whose_clock_says(1_795_291_223_250_000_000);
    let ill = Setting { guest, ..ill };
    keep("diagnosis.json", ill.anywhere(&pretty(&fixed_diagnosis(ill.diagnosis().await))));

    let good = Setting::new(None);
    let receipt = good.back_up().await.unwrap().receipt;
    let written = std::fs::read_to_string(good.path("backup/b.json")).unwrap();
    assert_eq!(written, pretty(&receipt));
    keep("receipt.json", good.anywhere(&pretty(&fixed_receipt(receipt))));
    keep("run-good.jsonl", fixed_run_log(&good.anywhere(&good.run_log())));

    // A freeze that freezes nothing, and a lock that is lost behind it.
    let weak = Setting::new(Some("feature needs_recovery"));
    let lost = weak.database.clone().fails_at_statement(good.statements_before_thaw() + 1, Answer::LosesSession);
    let weak = Setting { guest: weak.guest.clone().freezes_nothing(), database: lost, ..weak };
    let receipt = weak.back_up().await.map(|outcome| outcome.receipt);
    keep("receipt-weak.json", weak.anywhere(&pretty(&fixed_receipt(receipt.unwrap()))));

    let failed = Setting::new(None);
    failed.lvm.fail_program("lvconvert", 2, Fault::Refuses);
    (1..=2).for_each(|nth| failed.lvm.fail_program("lvremove", nth, Fault::Refuses));
    let failure = failed.back_up().await.map(drop).unwrap_err();
    keep("failure.json", failed.anywhere(&pretty(&failure.document("backup of root"))).replace(&run_of(&failed), RUN));
    keep("run-failed.jsonl", fixed_run_log(&failed.anywhere(&failed.run_log())));

    let cut_off = Setting::new(None);
    let programs = Arc::new(CutOff {
        lvm: cut_off.lvm.clone(),
        runs: cut_off.path("state/runs"),
        log: std::sync::Mutex::default(),
    });
    cut_off.back_up_with(programs.clone()).await.map(drop).unwrap();
    let log = programs.log.lock().unwrap().clone().unwrap();
    keep("run-cut-off.jsonl", fixed_run_log(&cut_off.anywhere(&log)));

    // What the failed one could not give back, and the one that was cut off.
    let (failed_run, cut_off_run) = (run_of(&failed), run_of(&cut_off));
    let recovered = recovery(&[&failed, &cut_off], &log).await;
    keep("recovery.json", recovered.replace(&failed_run, RUN).replace(&cut_off_run, CUT_OFF_RUN));

    keep("clean.json", pretty(&cleaned()));
    keep("check.json", pretty(&checked()));
    crate::schema::record();
    crate::manual::record();
}

/// What is recovered of both, in one folder of logs: nothing can be asked of a guest any more.
async fn recovery(settings: &[&Setting; 2], cut_off_log: &str) -> String {
    let [failed, cut_off] = settings;
    let runs = failed.path("state/runs");
    std::fs::write(runs.join(format!("{}.jsonl", run_of(cut_off))), cut_off_log).unwrap();
    let gone = |_: &str| Err(Cause::refused("nothing listens there", "start the VM"));
    let reach = Reach {
        lvm: Lvm::with_device_dir(failed.lvm.clone(), failed.path("dev")),
        agent: &gone,
        clock: Clock::fixed(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_291_263_250)),
        boot_id: this_boot(),
        thaw_deadline: Duration::from_secs(1),
        unmark_deadline: Duration::from_secs(1),
    };
    let found = recover_all(&failed.path("state"), &reach).await.unwrap();
    let text = pretty(&report(&found));
    let text = failed.anywhere(&cut_off.anywhere(&text));
    let marker = text.split(".stillpoint-").nth(1).map(|rest| rest[..32].to_owned()).unwrap();
    let text = text.replace(&marker, "4f1a09c2d7e34f1a09c2d7e34f1a09c2");
    let partial: Vec<String> = text.split(".partial-").skip(1).map(|rest| rest[..16].to_owned()).collect();
    partial.iter().fold(text, |text, random| text.replace(random, "4f1a09c2d7e30000"))
}

fn run_of(setting: &Setting) -> String {
    let log = setting.run_log();
    let first: Entry = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let Mark::Begun(begun) = first.mark else { panic!("{log}") };
    begun.run.to_string()
}

/// A host with one of each: of its words and forms, not of what such a host would be.
fn cleaned() -> Clean {
    let process =
        |pid| HoldingProcess { pid, command: "rsync".to_owned(), since: Some("2026-11-21T20:01:02Z".to_owned()) };
    let [name, on] = ["backup-7X1", "vg-backup--7"].map(str::to_owned);
    let mount = |within| OnTop::Mount {
        mountpoint: "/mnt/backup".to_owned(),
        fs_type: "ext4".to_owned(),
        on: name.clone(),
        within,
    };
    let on_top = vec![
        OnTop::Loop { name: "loop0".to_owned(), on: on.clone() },
        OnTop::Partition { name: "loop0p1".to_owned(), on: "loop0".to_owned() },
        OnTop::Device { name: "md0".to_owned(), on: "loop0p1".to_owned() },
        OnTop::Mapping { name: name.clone(), on },
        mount(None),
        mount(Some(process(88))),
        OnTop::Process { process: process(77), on: "/mnt/backup".to_owned() },
    ];
    let command = |line: &str| line.split(' ').map(str::to_owned).collect();
    let lines = ["umount --no-canonicalize /mnt/backup", "dmsetup remove --retry backup-7X1", "lvremove vg/backup-7"];
    let snapshot = Stale {
        name: "vg/backup-7".to_owned(),
        what: StaleKind::Snapshot,
        uuid: "LVM-7eJ8sAdKUBSo2rVmkZWvXQpTn1cYhG0f5LbZqRwEuIiOoPaSdFgHjKlZxCvBnM12".to_owned(),
        origin: Some("vg/db".to_owned()),
        size_bytes: Some(20 << 30),
        cow_used_bytes: Some(12 << 30),
        cow_total_bytes: Some(20 << 30),
        made_at: Some("2026-11-21T19:59:23Z".to_owned()),
        run: None,
        on_top,
        order: lines.map(command).to_vec(),
        refused: None,
        in_the_way: vec!["rsync (pid 77) works in /mnt/backup: end it, or let it leave that folder".to_owned()],
        outcome: None,
    };
    let gone = Stale { outcome: Some(CleanOutcome::Gone), ..snapshot.clone() };
    let run = RunOfVolume { run: RUN.to_owned(), state: RunLife::Dead };
    let (why, hint) = ("it is held, and nothing was done".to_owned(), "end rsync (pid 77)".to_owned());
    let left = Stale {
        what: StaleKind::LeftoverNodes,
        origin: None,
        size_bytes: None,
        cow_used_bytes: None,
        cow_total_bytes: None,
        made_at: None,
        run: Some(run),
        refused: Some("LVM sees no group that it is of".to_owned()),
        outcome: Some(CleanOutcome::Left { why, hint }),
        ..snapshot.clone()
    };
    let not_looked_at = vec![
        NotLookedAt { vg: Some("guests".to_owned()), device: None, why: "`lvs` did not end within 20s".to_owned() },
        NotLookedAt { vg: None, device: Some("mpatha".to_owned()), why: "it is suspended".to_owned() },
    ];
    let findings = vec![snapshot, gone, left];
    Clean { format: stillpoint::documents::clean::FORMAT, findings, not_looked_at }
}
