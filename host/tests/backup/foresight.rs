//! What a run tells the next one of how its COWs filled, and in which order the disks are copied.

use std::sync::Arc;
use std::time::Duration;

use lvm::{Bytes, LvName, Lvm};
use stillpoint::ask::connect::World;
use stillpoint::cow::forecast::earlier::Earlier;
use stillpoint::cow::history::History;
use stillpoint::documents::plan::{Basis, CowVerdict};

use super::peers::{Filling, Interposing};
use super::setting::Setting;

fn history(setting: &Setting, disk: &str) -> Vec<Earlier> {
    // A VM without a name is called by its first disk.
    History::below(&setting.path("state")).of("root", &disk.parse::<LvName>().unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_backup_tells_the_next_one_how_its_cows_filled() {
    let setting = Setting::new();
    let first = setting.back_up().await.unwrap().receipt;
    assert!(first.plan.disks.iter().all(|disk| disk.forecast.is_none()), "nothing is known yet");
    for disk in ["vg/root", "vg/data"] {
        let [run] = &history(&setting, disk)[..] else { panic!("one run of {disk}") };
        assert!(run.copied > Bytes(0) && run.copy_time.is_some() && !run.points.is_empty(), "{run:?}");
    }
    for artifact in setting.files() {
        std::fs::remove_file(setting.path("to").join(artifact)).unwrap();
    }
    let second = setting.back_up().await.unwrap().receipt;
    for disk in &second.plan.disks {
        let forecast = disk.forecast.as_ref().unwrap();
        assert_eq!(forecast.basis, Basis::EarlierRuns { runs: 1, busier_percent: 100 });
        assert_eq!(disk.cow_verdict, Some(CowVerdict::CannotFill), "these disks are small");
    }
    assert_eq!(history(&setting, "vg/root").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_backup_whose_cow_was_full_tells_the_next_one_too() {
    let setting = Setting::new();
    let lvm = Lvm::with_device_dir(Arc::new(Filling(setting.lvm.clone())), setting.path("dev"));
    setting.back_up_in(World { lvm, ..setting.world() }).await.unwrap_err();
    let runs = [history(&setting, "vg/root"), history(&setting, "vg/data")].concat();
    let [lost] = &runs[..] else { panic!("the one that was lost: {runs:?}") };
    assert_eq!(lost.copy_time, None);
    assert!(lost.used_at(Duration::from_secs(60)) >= f64::from(8 << 20), "all of its COW at least: {lost:?}");
}

#[tokio::test(start_paused = true)]
async fn the_disk_whose_cow_would_be_full_first_is_copied_first_and_the_receipt_keeps_the_order() {
    let setting = Setting::new();
    let filling = setting.lvm.clone();
    let programs = Interposing {
        inner: setting.lvm.clone(),
        on: "dmsetup status",
        then: Arc::new(move || {
            let snapshots = filling.volumes().into_iter().filter(|name| name.starts_with("vg/stillpoint-"));
            let of_data = snapshots.filter(|name| name.ends_with("-1"));
            of_data.for_each(|snapshot| filling.fill_cow(&snapshot.parse().unwrap(), Bytes(1 << 20)));
        }),
    };
    let lvm = Lvm::with_device_dir(Arc::new(programs), setting.path("dev"));
    let receipt = setting.back_up_in(World { lvm, ..setting.world() }).await.unwrap().receipt;
    let removed: Vec<String> =
        setting.log.entries().into_iter().filter(|entry| entry.starts_with("program: lvremove")).collect();
    assert!(removed[0].contains("-1") && removed[1].contains("-0"), "{removed:#?}");
    let disks: Vec<&str> = receipt.disks.iter().map(|disk| &*disk.origin).collect();
    assert_eq!(disks, ["vg/root", "vg/data"]);
}
