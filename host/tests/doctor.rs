//! What the doctor says of a simulated host, guest and database, and that it changes none of them.
//!
//! Time is tokio's and stands still until everybody waits, so that deadlines of a minute cost nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use guest_bridge::agent::{self, Fault, FreezeScope, SharedAgent, SimulatedGuest};
use guest_bridge::call_log::CallLog;
use guest_bridge::database::simulated::SimulatedMariaDb;
use lvm::simulated::{Fault as LvmFault, SimulatedLvm};
use lvm::{Bytes, Lvm};
use stillpoint::ask::config::Config;
use stillpoint::ask::connect::World;
use stillpoint::ask::job::{Asked, Job};
use stillpoint::ask::policy::WatchdogWish;
use stillpoint::clock::Clock;
use stillpoint::doctor::{Examination, examine};
use stillpoint::documents::diagnosis::{Finding, Level};
use stillpoint::failure::exit::Exit;
use stillpoint::failure::{Failure, Kind};
use stillpoint::grade::Grade;
use stillpoint::run::Run;
use stillpoint::run::event::Listeners;
use stillpoint::run::held::Held;
use stillpoint::run::record::RunRecord;
use stillpoint::step::Step;
use stillpoint::stop::Stop;
use stillpoint_tests::machine::guest_image::GuestImage;
use tempfile::TempDir;

/// A host with `vg/root` and `vg/data`, their guest, and its database.
struct Setting {
    folder: TempDir,
    log: CallLog,
    lvm: Arc<SimulatedLvm>,
    guest: SimulatedGuest,
    database: SimulatedMariaDb,
    stop: Stop,
}

fn image() -> &'static [u8] {
    static IMAGE: OnceLock<GuestImage> = OnceLock::new();
    let binlog = include_bytes!("../../fixtures/binlog/mariadb-10.11.000001");
    &IMAGE.get_or_init(|| GuestImage::make(binlog, &[])).bytes
}

impl Setting {
    fn new() -> Self {
        let (folder, log) = (tempfile::tempdir().unwrap(), CallLog::new());
        let record = log.clone();
        let lvm = SimulatedLvm::new(&folder.path().join("dev"), move |call| record.record(call));
        lvm.add_vg("vg", Bytes(400 << 20));
        for disk in ["vg/root", "vg/data"] {
            lvm.add_lv(&disk.parse().unwrap(), image());
            // A guest runs from it.
            lvm.report(disk, "lv_attr", "-wi-ao----");
        }
        std::fs::create_dir(folder.path().join("to")).unwrap();
        Self {
            lvm: Arc::new(lvm),
            guest: SimulatedGuest::new(log.clone(), ["/", "/srv/data"]),
            database: SimulatedMariaDb::new(log.clone()),
            stop: Stop::default(),
            folder,
            log,
        }
    }

    fn guest(self, change: impl FnOnce(SimulatedGuest) -> SimulatedGuest) -> Self {
        Self { guest: change(self.guest.clone()), ..self }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn world(&self, job: &Job) -> World {
        World {
            lvm: Lvm::with_device_dir(self.lvm.clone(), self.path("dev")),
            agent: Some(SharedAgent::new(self.guest.clone())),
            database: job.database.value.as_ref().map(|_| self.database.opener()),
            session: None,
            guest_login: None,
            guardian: None,
            clock: Clock::system(),
        }
    }

    fn job(&self, otherwise: impl FnOnce(&mut Asked)) -> Job {
        let mut asked = Asked {
            disks: vec!["vg/root".into(), "vg/data".into()],
            agent: Some("unix:/run/qga".into()),
            database: Some("agent".into()),
            to: Some(self.path("to")),
            state_dir: Some(self.path("state")),
            ..Asked::default()
        };
        otherwise(&mut asked);
        Job::new(asked, &Config::default()).unwrap()
    }

    async fn examine(&self) -> Examination {
        self.examine_as(|_| ()).await
    }

    async fn examine_as(&self, otherwise: impl FnOnce(&mut Asked)) -> Examination {
        let job = self.job(otherwise);
        examine(&job, &self.world(&job), None, &self.stop).await.unwrap()
    }

    async fn test_freeze(&self) -> Result<Examination, Failure> {
        let job = self.job(|_| ());
        examine(&job, &self.world(&job), Some(Listeners::default()), &self.stop).await
    }

    /// Run logs that there are.
    fn logs(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path("state/runs")) else { return Vec::new() };
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
            .collect()
    }
}

/// The findings of a check.
fn of(examined: &Examination, check: &str) -> Vec<Finding> {
    examined.document().findings.into_iter().filter(|finding| finding.check == check).collect()
}

/// The worst of them.
fn worst(examined: &Examination, check: &str) -> Finding {
    of(examined, check).into_iter().next().unwrap_or_else(|| panic!("nothing of {check}: {:?}", examined.document()))
}

#[tokio::test(start_paused = true)]
async fn nothing_keeps_a_backup_of_a_healthy_guest_from_its_grade() {
    let examined = Setting::new().examine().await;
    assert_eq!((examined.exit(), examined.at_best()), (Exit::Done, Some(Grade::Application)));
    let bad = |finding: &&Finding| finding.level > Level::Note;
    assert_eq!(examined.document().findings.iter().find(bad), None);
}

#[tokio::test(start_paused = true)]
async fn looking_changes_nothing_and_leaves_no_log() {
    let setting = Setting::new();
    setting.examine().await;
    let changes = [
        "freeze-freeze",
        "thaw",
        "lvcreate",
        "lvconvert",
        "lvremove",
        "BACKUP STAGE",
        "FLUSH",
        "places mark",
        "watchdog arm",
    ];
    let entries = setting.log.entries();
    let changing = entries.iter().find(|entry| changes.iter().any(|change| entry.contains(change)));
    assert_eq!(changing, None);
    assert!(!setting.path("state").exists());
    assert_eq!(std::fs::read_dir(setting.path("to")).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_survey_asks_is_asked_once() {
    let setting = Setting::new();
    setting.examine().await;
    let entries = setting.log.entries();
    let times = |what: &str| entries.iter().filter(|entry| entry.contains(what)).count();
    assert_eq!((times("guest-info"), times("guest-get-fsinfo"), times("places look")), (1, 1, 1));
    assert_eq!((times("SHOW GLOBAL VARIABLES"), times("database: close")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_worst_is_said_first() {
    let examined = Setting::new()
        .guest(|guest| guest.blocks("guest-fsfreeze-thaw").blocks("guest-fsfreeze-freeze"))
        .examine()
        .await;
    let levels: Vec<Level> = examined.document().findings.iter().map(|finding| finding.level).collect();
    assert!(levels.is_sorted_by(|one, other| one >= other), "{levels:?}");
    assert_eq!((levels[0], examined.exit(), examined.at_best()), (Level::Stops, Exit::Failed, None));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_gives_no_answer_ends_no_other_check() {
    let setting = Setting::new().guest(|guest| guest.fails_at("guest-info", Fault::Hang));
    let examined = setting.examine_as(|asked| asked.database = Some("tcp:127.0.0.1:3306".into())).await;
    let agent = worst(&examined, "agent");
    assert!(agent.level == Level::Stops && agent.what.contains("guest-info"), "{agent:?}");
    for unseen in ["frozen", "filesystems", "clock", "watchdog"] {
        let finding = worst(&examined, unseen);
        assert!(!finding.looked_at && finding.level > Level::Fine, "{finding:?}");
    }
    for seen in ["disks", "room", "database", "account", "state-dir"] {
        assert!(worst(&examined, seen).looked_at, "{seen}");
    }
    assert_eq!(examined.exit(), Exit::Failed);
}

#[tokio::test(start_paused = true)]
async fn each_question_to_the_guest_may_fail_without_an_end_of_the_others() {
    let calls = {
        let setting = Setting::new();
        setting.examine().await;
        setting.guest.calls()
    };
    for (nth, fault) in (0..calls).flat_map(|nth| Fault::ALL.map(|fault| (nth, fault))) {
        let setting = Setting::new().guest(|guest| guest.fails_at_call(nth, fault));
        let examined = setting.examine().await;
        for check in ["agent", "database", "disks", "room", "lvm", "runs", "target", "state-dir"] {
            assert!(!of(&examined, check).is_empty(), "call {nth} {fault:?}: {check}");
        }
        assert!(!setting.guest.is_frozen(), "call {nth} {fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_program_of_the_host_may_fail_without_an_end_of_the_others() {
    let calls = {
        let setting = Setting::new();
        setting.examine().await;
        setting.lvm.calls()
    };
    for nth in 1..=calls {
        let setting = Setting::new();
        setting.lvm.fail_call(nth, LvmFault::Refuses);
        let examined = setting.examine().await;
        assert!(
            examined.document().findings.iter().any(|finding| !finding.looked_at || finding.level > Level::Note),
            "call {nth}"
        );
        for check in ["agent", "database", "disks", "lvm", "filesystems"] {
            assert!(!of(&examined, check).is_empty(), "call {nth}: {check}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocked_guest_exec_costs_the_grade_where_the_session_needs_none_and_stops_a_backup_where_it_does() {
    let blocked = || Setting::new().guest(|guest| guest.blocks("guest-exec").blocks("guest-exec-status"));
    let examined = blocked().examine_as(|asked| asked.database = Some("tcp:127.0.0.1:3306".into())).await;
    let commands = worst(&examined, "commands");
    assert_eq!((commands.level, commands.at_best), (Level::KeepsFromGrade, Some(Grade::Filesystem)));
    assert!(
        commands.what.contains("guest-exec") && commands.remedy.unwrap().contains("block-rpcs"),
        "{}",
        commands.what
    );
    assert_eq!((examined.exit(), examined.at_best()), (Exit::Weaker, Some(Grade::Filesystem)));
    assert!(!worst(&examined, "filesystems").looked_at);
    let examined = blocked().examine().await;
    assert_eq!((worst(&examined, "commands").level, examined.exit()), (Level::Stops, Exit::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_weaker_grade_that_is_asked_for_is_reached_all_the_same() {
    let setting = Setting::new().guest(|guest| guest.blocks("guest-exec"));
    let examined = setting
        .examine_as(|asked| {
            asked.database = Some("tcp:127.0.0.1:3306".into());
            asked.require = Some(Grade::Filesystem);
        })
        .await;
    assert_eq!((examined.exit(), worst(&examined, "commands").level), (Exit::Done, Level::Note));
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_is_frozen_needs_a_person_and_is_not_frozen_again() {
    let setting = Setting::new();
    agent::freeze(&mut setting.guest.clone(), &FreezeScope::All, std::time::Duration::from_secs(5)).await.unwrap();
    let examined = setting.test_freeze().await.unwrap();
    assert_eq!((examined.exit(), worst(&examined, "frozen").level), (Exit::NeedsPerson, Level::Stops));
    let test = worst(&examined, "freeze-test");
    assert!(!test.looked_at && examined.freeze_test.is_none(), "{test:?}");
    assert!(setting.guest.is_frozen(), "it is not ours to thaw");
    assert!(setting.logs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_not_there_stops_a_backup_and_no_check_of_the_others() {
    let setting = Setting::new();
    let examined = setting.examine_as(|asked| asked.disks = vec!["vg/root".into(), "vg/dat".into()]).await;
    let disks = of(&examined, "disks");
    assert!(disks[0].level == Level::Stops && disks[0].what.contains("vg/dat"), "{disks:?}");
    assert!(disks.iter().any(|disk| disk.level == Level::Fine && disk.what.starts_with("vg/root: ")), "{disks:?}");
    assert!(of(&examined, "room").iter().any(|room| !room.looked_at && room.what.contains("vg/dat")));
}

#[tokio::test(start_paused = true)]
async fn a_group_without_room_for_the_cows_stops_a_backup_with_the_numbers() {
    let setting = Setting::new();
    setting.lvm.report("vg", "pv_free", "4194304");
    let room = worst(&setting.examine().await, "room");
    assert!(room.level == Level::Stops && room.what.contains("4 MiB"), "{room:?}");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_may_not_lock_is_told_with_its_grant() {
    let setting = Setting::new();
    let database = setting.database.clone().with_grants("GRANT PROCESS ON *.* TO `backup`@`%`");
    let account = worst(&Setting { database, ..setting }.examine().await, "account");
    assert!(account.level == Level::Stops && account.what.contains("RELOAD"), "{account:?}");
    assert!(account.remedy.as_ref().unwrap().contains("GRANT RELOAD"), "{account:?}");
}

#[tokio::test(start_paused = true)]
async fn a_database_that_cannot_be_reached_leaves_all_of_it_unseen_and_the_rest_not() {
    let setting = Setting::new();
    let database = setting.database.clone().unreachable();
    let examined = Setting { database, ..setting }.examine().await;
    assert_eq!((worst(&examined, "database").level, examined.exit()), (Level::Stops, Exit::Failed));
    for check in ["account", "busy", "durability", "cluster"] {
        assert_eq!(of(&examined, check), [], "{check}: nothing is said of what was not seen");
    }
    assert!(worst(&examined, "filesystems").looked_at);
}

#[tokio::test(start_paused = true)]
async fn without_a_database_the_grade_is_filesystem_and_that_is_what_is_required() {
    let examined = Setting::new().examine_as(|asked| asked.database = None).await;
    assert_eq!((examined.exit(), examined.at_best()), (Exit::Done, Some(Grade::Filesystem)));
    let examined =
        Setting::new().examine_as(|asked| (asked.database, asked.require) = (None, Some(Grade::Application))).await;
    assert_eq!((examined.exit(), worst(&examined, "database").level), (Exit::Weaker, Level::KeepsFromGrade));
}

#[tokio::test(start_paused = true)]
async fn a_directory_of_the_database_that_is_on_no_disk_costs_the_grade() {
    let setting = Setting::new();
    let guest = setting.guest.clone().with_places(|places| places.lack("/var/lib/mysql/"));
    let filesystems = worst(&Setting { guest, ..setting }.examine().await, "filesystems");
    assert_eq!((filesystems.level, filesystems.at_best), (Level::KeepsFromGrade, Some(Grade::Filesystem)));
    assert!(filesystems.what.contains("/var/lib/mysql"), "{filesystems:?}");
}

#[tokio::test(start_paused = true)]
async fn mounts_of_servers_and_bind_mounts_are_named() {
    let setting = Setting::new().guest(|guest| {
        guest.with_places(|places| {
            places.also_mounted("9 1 253:0 /jail /jail rw - ext4 /dev/vda1 rw");
            places.also_mounted("10 1 0:50 / /home rw - nfs4 store:/home rw");
        })
    });
    let filesystems = of(&setting.examine().await, "filesystems");
    let notes: Vec<&str> = filesystems.iter().map(|finding| &*finding.what).collect();
    assert!(notes.contains(&"1 mount from servers or programs: /home (nfs4)"), "{notes:?}");
    assert!(notes.contains(&"1 bind mount of what is mounted elsewhere, too: /jail"), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn what_linux_cannot_freeze_is_named_and_costs_the_grade_only_where_the_database_is_on_it() {
    let on_fat = |mountpoint: &'static str| {
        Setting::new().guest(|guest| guest.with_places(|places| places.fs_type(mountpoint, "vfat")))
    };
    let examined = on_fat("/srv/data").examine().await;
    let named = |finding: &Finding| finding.what == "Linux has no freeze for /srv/data (vfat)";
    assert!(of(&examined, "filesystems").iter().any(named), "{:?}", of(&examined, "filesystems"));
    assert_eq!(examined.exit(), Exit::Done);
    let filesystems = worst(&on_fat("/").examine().await, "filesystems");
    assert_eq!(filesystems.at_best, Some(Grade::Filesystem), "{filesystems:?}");
}

#[tokio::test(start_paused = true)]
async fn a_loop_mount_that_would_deadlock_a_freeze_is_named_and_no_freeze_is_tried() {
    let setting = Setting::new();
    let guest = SimulatedGuest::new(setting.log.clone(), ["/", "/srv/data", "/tmp"]).with_places(|places| {
        places.in_file("/tmp", "/tmp.img");
        places.also_mounted("9 1 253:0 /jail /jail rw - ext4 /dev/vda1 rw");
    });
    let setting = Setting { guest, ..setting };
    let examined = setting.test_freeze().await.unwrap();
    let loops = worst(&examined, "loops");
    assert!(loops.level == Level::Stops && loops.what.contains("/tmp in the guest"), "{loops:?}");
    let test = worst(&examined, "freeze-test");
    assert!(!test.looked_at && test.what.contains("/tmp.img"), "{test:?}");
    assert!(!setting.log.entries().iter().any(|entry| entry.contains("fsfreeze-freeze")));
}

#[tokio::test(start_paused = true)]
async fn a_guest_whose_clock_is_wrong_is_told_by_how_much() {
    let setting = Setting::new().guest(|guest| guest.whose_clock_says(0));
    let clock = worst(&setting.examine().await, "clock");
    assert!(clock.level == Level::Note && clock.what.contains("behind this host's"), "{clock:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_looks_into_its_guests_disks_is_told_so() {
    let setting = Setting::new();
    setting.lvm.set_number("devices/scan_lvs", 1);
    setting.lvm.set_number("activation/snapshot_autoextend_threshold", 70);
    let lvm = of(&setting.examine().await, "lvm");
    let notes: Vec<&str> =
        lvm.iter().filter(|finding| finding.level == Level::Note).map(|finding| &*finding.what).collect();
    assert_eq!(notes.len(), 2, "{lvm:?}");
    assert!(notes.iter().any(|note| note.contains("devices/scan_lvs is 1")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("70 % full")), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_died_is_told_and_left_to_the_next_backup() {
    let setting = Setting::new();
    let run = Run::begin(&setting.path("state"), "root", Clock::system(), Listeners::default()).unwrap();
    let held = Held::Frozen { agent: "unix:/run/qga".to_owned() };
    run.intend(Step::Freeze, vec![held.clone()]).unwrap();
    assert_eq!(worst(&setting.examine().await, "runs").level, Level::Fine, "it lives");
    let log = run.log_path().to_owned();
    drop(run);
    let runs = worst(&setting.examine().await, "runs");
    assert!(runs.level == Level::Note && runs.what.contains(&held.to_string()), "{runs:?}");
    assert_eq!(RunRecord::read(&log).unwrap().held(), [held], "nothing was given back");
}

#[tokio::test(start_paused = true)]
async fn a_target_and_a_state_folder_that_cannot_be_written_to_stop_a_backup() {
    let setting = Setting::new();
    std::fs::write(setting.path("file"), "").unwrap();
    let (missing, file) = (setting.path("nowhere"), setting.path("file/state"));
    let examined = setting.examine_as(|asked| (asked.to, asked.state_dir) = (Some(missing), Some(file))).await;
    assert_eq!((worst(&examined, "target").level, worst(&examined, "state-dir").level), (Level::Stops, Level::Stops));
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_is_off_is_looked_at_from_the_host_alone() {
    let setting = Setting::new();
    for disk in ["vg/root", "vg/data"] {
        setting.lvm.report(disk, "lv_attr", "-wi-a-----");
    }
    let setting = setting.guest(|guest| guest.fails_at("guest-info", Fault::Gone));
    let examined = setting.examine().await;
    assert_eq!((examined.exit(), examined.at_best()), (Exit::Done, Some(Grade::Clean)));
    assert!(worst(&examined, "agent").what.starts_with("the VM is off"), "{:?}", of(&examined, "agent"));
    assert_eq!(setting.database.statements(), 0);
    let tested = setting.test_freeze().await.unwrap();
    assert!(!worst(&tested, "freeze-test").looked_at);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_is_tried_where_that_is_asked_for_with_a_log_and_a_watchdog_and_the_guest_thawed() {
    let setting = Setting::new();
    let examined = setting.test_freeze().await.unwrap();
    assert_eq!((examined.exit(), worst(&examined, "freeze-test").level), (Exit::Done, Level::Fine));
    let test = examined.document().freeze_test.unwrap();
    assert_eq!((test.frozen, test.thawed), (2, Some(2)));
    assert!(!setting.guest.is_frozen() && setting.guest.watchdogs().is_empty());
    let [log] = &setting.logs()[..] else { panic!("one log") };
    let record = RunRecord::read(log).unwrap();
    assert!(record.is_closed() && record.held().is_empty(), "{record:?}");
    let entries = setting.log.entries();
    let at = |what: &str| entries.iter().position(|entry| entry.contains(what)).unwrap_or_else(|| panic!("no {what}"));
    assert!(at("watchdog arm") < at("fsfreeze-freeze") && at("fsfreeze-thaw") < at("watchdog disarm"), "{entries:?}");
    assert!(!entries.iter().any(|entry| entry.contains("BACKUP STAGE") || entry.contains("lvconvert")), "{entries:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_was_taken_for_that_to_the_thaw_is_found_out_after_the_freeze_that_is_tried() {
    let setting = Setting::new().guest(SimulatedGuest::answers_the_first_thaw_for_another);
    let examined = setting.test_freeze().await.unwrap();
    assert!(!setting.guest.is_frozen() && setting.guest.watchdogs().is_empty());
    assert_eq!(examined.document().freeze_test.unwrap().thawed, Some(2));
    let [log] = &setting.logs()[..] else { panic!("one log") };
    assert_eq!(RunRecord::read(log).unwrap().held(), []);
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_to_a_freeze_that_is_tried_the_guest_is_thawed_or_a_person_is_called() {
    for command in ["guest-fsfreeze-freeze", "guest-fsfreeze-thaw"] {
        for fault in Fault::ALL {
            let setting = Setting::new().guest(|guest| guest.fails_at(command, fault));
            let examined = setting.test_freeze().await.unwrap();
            let case = format!("{command} {fault:?}: {:?}", of(&examined, "freeze-test"));
            assert_ne!(worst(&examined, "freeze-test").level, Level::Fine, "{case}");
            // Nobody can be asked any more, and it had been frozen by then.
            let is_left = fault == Fault::Gone && command == "guest-fsfreeze-thaw";
            assert_eq!((setting.guest.is_frozen(), examined.exit() == Exit::NeedsPerson), (is_left, is_left), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_freeze_that_nobody_counts_makes_a_backup_of_grade_crash() {
    let setting = Setting::new().guest(SimulatedGuest::freezes_nothing);
    let examined = setting.test_freeze().await.unwrap();
    assert_eq!((examined.exit(), examined.at_best()), (Exit::Weaker, Some(Grade::Crash)));
}

#[tokio::test(start_paused = true)]
async fn a_watchdog_that_cannot_be_armed_stops_a_backup_only_where_it_is_required() {
    let examined = |wish| async move {
        let setting = Setting::new().guest(|guest| guest.blocks("guest-exec"));
        let examined = setting
            .examine_as(|asked| {
                asked.database = Some("tcp:127.0.0.1:3306".into());
                asked.watchdog = Some(wish);
            })
            .await;
        worst(&examined, "watchdog").level
    };
    assert_eq!(examined(WatchdogWish::Auto).await, Level::Note);
    assert_eq!(examined(WatchdogWish::Require).await, Level::Stops);
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_runs_is_never_clean() {
    let examined = Setting::new().examine_as(|asked| asked.require = Some(Grade::Clean)).await;
    assert_eq!((examined.exit(), examined.at_best()), (Exit::Weaker, Some(Grade::Application)));
    assert!(worst(&examined, "agent").remedy.unwrap().contains("shut it down"));
}

#[tokio::test(start_paused = true)]
async fn snapshots_that_the_disks_have_are_named_with_whose_they_are() {
    let setting = Setting::new();
    for (name, origin) in [("vg/nightly", "root"), ("vg/stillpoint-r1-0", "data")] {
        setting.lvm.add_lv(&name.parse().unwrap(), &[0; 4096]);
        setting.lvm.report(name, "lv_attr", "swi-a-s---");
        setting.lvm.report(name, "origin", origin);
    }
    setting.lvm.report("vg/stillpoint-r1-0", "lv_tags", "stillpoint");
    let snapshots = of(&setting.examine().await, "snapshots");
    let whats: Vec<&str> = snapshots.iter().map(|finding| &*finding.what).collect();
    let expected = [
        "vg/root has the snapshot vg/nightly, of another tool or person",
        "vg/data has the snapshot vg/stillpoint-r1-0, of a run of stillpoint",
    ];
    assert_eq!(whats, expected);
    assert!(snapshots.iter().all(|finding| finding.level == Level::Note), "{snapshots:?}");
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_it_and_nothing_is_held() {
    let setting = Setting::new();
    setting.stop.ask(15);
    let failure = setting.test_freeze().await.map(drop).unwrap_err();
    assert_eq!((failure.step, failure.cause.kind), (Step::Survey, Kind::Stopped));
    assert!(!setting.guest.is_frozen());
}
