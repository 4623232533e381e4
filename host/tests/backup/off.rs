//! A VM that is off.

use std::sync::Arc;

use guest_bridge::agent::Fault as AgentFault;
use lvm::Lvm;
use stillpoint::ask::connect::World;
use stillpoint::backup::Outcome;
use stillpoint::grade::{Grade, Indication};

use super::peers::Interposing;
use super::setting::{Setting, live};

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
