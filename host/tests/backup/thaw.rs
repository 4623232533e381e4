//! Whether the guest froze, and whether it runs again: what the agent says, and what the disks show.

use std::sync::Arc;
use std::time::Duration;

use guest_bridge::agent::{Fault as AgentFault, SharedAgent};
use guest_bridge::places::SimulatedPlaces;
use lvm::Lvm;
use lvm::simulated::Fault as LvmFault;
use serde_json::Value;
use stillpoint::ask::connect::World;
use stillpoint::documents::receipt::Receipt;
use stillpoint::failure::Kind;
use stillpoint::failure::exit::Exit;
use stillpoint::grade::Grade;
use stillpoint::run::event::Listeners;
use stillpoint::run::held::Held;
use stillpoint::run::record::RunRecord;

use super::peers::{Interposing, Notes, Shown};
use super::setting::{DISKS, Setting, end, live, names};

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
