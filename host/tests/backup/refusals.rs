//! What keeps a backup from being begun.

use std::time::Duration;

use guest_bridge::agent::{self, FreezeScope, SharedAgent};
use guest_bridge::database::scripted::Outcome as Answer;
use lvm::Bytes;
use stillpoint::ask::job::Asked;
use stillpoint::failure::Kind;
use stillpoint::failure::exit::Exit;
use stillpoint::run::claim::Claim;

use super::setting::Setting;

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
