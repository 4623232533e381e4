//! Whose filesystems are in the snapshots, and whether the database is.

use std::sync::Arc;
use std::time::Duration;

use guest_bridge::agent::{Agent, AgentError, BoxFuture, Request, SharedAgent, SimulatedGuest};
use guest_bridge::database::scripted::Outcome as Answer;
use guest_bridge::places::SimulatedPlaces;
use lvm::Lvm;
use serde_json::Value;
use stillpoint::ask::connect::World;
use stillpoint::backup::Outcome;
use stillpoint::grade::{Grade, Indication};
use stillpoint_tests::machine::guest_image::MARKER_INODE;

use super::peers::Interposing;
use super::setting::{DISKS, Setting, live};

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
