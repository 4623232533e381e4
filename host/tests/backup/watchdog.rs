//! The watchdog in the guest.

use std::sync::{Arc, Mutex};

use lvm::Lvm;
use stillpoint::ask::connect::World;
use stillpoint::ask::job::Asked;
use stillpoint::ask::policy::WatchdogWish;
use stillpoint::backup::Outcome;
use stillpoint::grade::{Grade, Indication};

use super::peers::Interposing;
use super::setting::Setting;

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
