//! The recipe of a healthy backup: its order, and what comes of it.

use std::process::Command;
use std::sync::Arc;

use guest_bridge::database::lock_method::LockWish;
use guest_bridge::database::scripted::Outcome as Answer;
use lvm::Lvm;
use lvm::simulated::Fault as LvmFault;
use serde_json::Value;
use stillpoint::ask::connect::World;
use stillpoint::ask::job::Asked;
use stillpoint::ask::policy::DumpWish;
use stillpoint::backup::Outcome;
use stillpoint::documents::receipt::Lock;
use stillpoint::failure::Kind;
use stillpoint::failure::exit::Exit;
use stillpoint::grade::{Grade, Indication};

use super::peers::{Filling, Interposing};
use super::setting::{Setting, assert_all_or_nothing, frozen, names};

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

/// What comes of a backup without a lock, of a server that wrote to its binlog from one position to the other.
async fn without_a_lock(from: u64, to: u64) -> (Setting, Outcome) {
    let mut setting = Setting::new();
    setting.database = setting.database.clone().writing_from(from, to);
    let outcome = setting.back_up_as(|asked| asked.lock = Some(LockWish::None)).await.unwrap();
    (setting, outcome)
}

#[tokio::test(start_paused = true)]
async fn where_commits_go_on_the_images_own_binlog_has_the_coordinates() {
    let (setting, Outcome { receipt, .. }) = without_a_lock(1261, 2000).await;
    assert_eq!(receipt.grade, Grade::Application, "{:?}", receipt.reasons);
    let coordinates = receipt.window.coordinates.unwrap();
    assert_eq!((coordinates.position, coordinates.gtid.as_deref()), (1423, Some("0-1-7")));
    assert_eq!((receipt.window.lock, receipt.window.stall_ms), (Lock::CommitsWentOn, receipt.window.window_ms));
    assert!(!setting.log.entries().iter().any(|entry| entry.contains("BACKUP STAGE")));
    setting.assert_nothing_is_held("without a lock");
}

#[tokio::test(start_paused = true)]
async fn a_binlog_that_does_not_end_in_the_window_gives_no_coordinates_and_a_weaker_grade() {
    for (from, to) in [(1261, 1261), (1600, 2000)] {
        let (_, Outcome { receipt, .. }) = without_a_lock(from, to).await;
        assert_eq!((receipt.grade, receipt.window.coordinates), (Grade::Filesystem, None), "{from} {to}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_commits_should_have_waited_the_grade_says_so() {
    let mut setting = Setting::new();
    // It does not see whether there are tables without transactions.
    setting.database = setting.database.clone().with_grants("GRANT RELOAD, PROCESS, BINLOG MONITOR ON *.* TO `a`@`b`");
    let outcome = setting.back_up_as(|asked| asked.lock = Some(LockWish::None)).await.unwrap();
    assert_eq!((outcome.receipt.grade, outcome.exit()), (Grade::Filesystem, Exit::Weaker));
    assert_eq!(outcome.receipt.indications, [Indication::LockDeclined], "{:?}", outcome.receipt.reasons);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_not_granted_is_gone_without_unless_it_is_required() {
    let refusing = || {
        let mut setting = Setting::new();
        let refusal = Answer::Refuses(1205, "Lock wait timeout exceeded".to_owned());
        setting.database = setting.database.clone().fails_at("BACKUP STAGE BLOCK_COMMIT", refusal);
        setting
    };
    let setting = refusing();
    let outcome = setting.back_up().await.unwrap();
    assert_eq!(outcome.receipt.grade, Grade::Application, "{:?}", outcome.receipt.reasons);
    assert_eq!(outcome.receipt.window.lock, Lock::CommitsWentOn);
    let setting = refusing();
    let failure = setting.back_up_as(|asked| asked.lock = Some(LockWish::Require)).await.unwrap_err();
    assert_eq!(failure.cause.kind, Kind::LockNotGranted);
    setting.assert_nothing_is_held("required");
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
async fn a_full_cow_is_called_that_and_not_an_io_error() {
    let setting = Setting::new();
    let lvm = Lvm::with_device_dir(Arc::new(Filling(setting.lvm.clone())), setting.path("dev"));
    let never = |asked: &mut Asked| asked.dump = Some(DumpWish::Never);
    let result = setting.back_up_of(never, World { lvm, ..setting.world() }).await;
    assert_all_or_nothing(&setting, &result, "full COW");
    setting.assert_nothing_is_held("full COW");
    setting.assert_no_marker_is_left("full COW");
    let failure = result.unwrap_err();
    assert_eq!(failure.cause.kind, Kind::CowFull, "{failure}");
    assert_eq!(failure.exit(), Exit::Failed);
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
