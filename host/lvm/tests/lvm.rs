//! What the lvm module does to a host, on simulated volume groups: what it makes, what it leaves, and what it never touches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lvm::programs::ProgramError;
use lvm::simulated::{Fault, SimulatedLvm};
use lvm::{Bytes, CowVolume, ExistingSnapshot, LvName, Lvm, LvmError, NoOrigin, RunId, SnapshotState};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(5);
const COW: Bytes = Bytes(20 << 20);

struct Host {
    simulated: Arc<SimulatedLvm>,
    lvm: Lvm,
    calls: Arc<Mutex<Vec<String>>>,
    _dev: TempDir,
}

fn name(text: &str) -> LvName {
    text.parse().unwrap()
}

/// A group `vg` of 200 MiB with the guest's disks `vg/root` and `vg/data`.
fn host() -> Host {
    let dev = tempfile::tempdir().unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&calls);
    let simulated = SimulatedLvm::new(dev.path(), move |call| recorded.lock().unwrap().push(call));
    let simulated = Arc::new(simulated);
    simulated.add_vg("vg", Bytes(200 << 20));
    simulated.add_lv(&name("vg/root"), &[1; 4096]);
    simulated.add_lv(&name("vg/data"), &[2; 4096]);
    let lvm = Lvm::with_device_dir(Arc::clone(&simulated) as _, dev.path());
    Host { simulated, lvm, calls, _dev: dev }
}

fn run() -> RunId {
    "r1".parse().unwrap()
}

/// The run's `number`th volume.
fn volume(number: usize) -> LvName {
    run().volume("vg", number).unwrap()
}

/// A COW volume for `origin`, the run's `number`th.
fn cow_of(lvm: &Lvm, origin: &str, number: usize) -> Result<CowVolume, LvmError> {
    lvm.create_cow(&lvm.origin(&name(origin))?, volume(number), COW)
}

/// What a backup of both disks does with LVM.
fn snapshot_both(lvm: &Lvm) -> Result<(), LvmError> {
    let cows = [cow_of(lvm, "vg/root", 0)?, cow_of(lvm, "vg/data", 1)?];
    let snapshots = [cows[0].attach(DEADLINE)?, cows[1].attach(DEADLINE)?];
    for snapshot in snapshots {
        snapshot.wait_for_device(DEADLINE)?;
        assert!(snapshot.state()?.is_whole());
    }
    Ok(())
}

fn remove_both(lvm: &Lvm) {
    lvm.remove(&volume(0)).unwrap();
    lvm.remove(&volume(1)).unwrap();
}

#[test]
fn the_window_costs_one_command_a_disk() {
    let host = host();
    let cow = cow_of(&host.lvm, "vg/data", 0).unwrap();
    let before = host.calls.lock().unwrap().len();
    cow.attach(DEADLINE).unwrap();
    assert_eq!(
        host.calls.lock().unwrap()[before..],
        [concat!(
            "program: lvconvert --yes --config 'backup{backup=0 archive=0} activation{monitoring=0} ",
            "devices{use_devicesfile=0 filter=[\"a|^/dev/simulated$|\",\"r|.*|\"]}' --noudevsync --type snapshot --zero n ",
            "--chunksize 4k vg/data vg/stillpoint-r1-0"
        )]
    );
}

#[test]
fn a_snapshot_shows_the_origin_as_it_was() {
    let host = host();
    let cow = cow_of(&host.lvm, "vg/data", 0).unwrap();
    let path = cow.attach(DEADLINE).unwrap().wait_for_device(DEADLINE).unwrap();
    std::fs::write(host.lvm.device_path(&name("vg/data")), [9; 4096]).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), [2; 4096]);
}

#[test]
fn a_node_that_is_there_is_not_waited_for() {
    let host = host();
    let snapshot = cow_of(&host.lvm, "vg/data", 0).unwrap().attach(DEADLINE).unwrap();
    let before = host.calls.lock().unwrap().len();
    snapshot.wait_for_device(DEADLINE).unwrap();
    assert_eq!(host.calls.lock().unwrap()[before..], [""; 0]);
}

#[test]
fn a_link_to_another_device_is_not_taken_for_the_snapshot() {
    let host = host();
    let snapshot = cow_of(&host.lvm, "vg/data", 0).unwrap().attach(DEADLINE).unwrap();
    std::fs::remove_file(snapshot.device_path()).unwrap();
    std::os::unix::fs::symlink("/dev/null", snapshot.device_path()).unwrap();
    let soon = Duration::from_millis(50);
    let error = snapshot.wait_for_device(soon).unwrap_err();
    assert!(matches!(error, LvmError::NoDevice { .. }), "{error:?}");
}

#[test]
fn whichever_call_goes_wrong_everything_is_removed_and_the_origins_go_on() {
    let calls = {
        let host = host();
        snapshot_both(&host.lvm).unwrap();
        host.simulated.calls()
    };
    for fault in [Fault::Refuses, Fault::LosesReply, Fault::LeavesSuspended, Fault::DiesHalfWay] {
        for nth in 1..=calls {
            let host = host();
            host.simulated.fail_call(nth, fault);
            // That udev does not settle is no failure: what counts is the device.
            let settled = snapshot_both(&host.lvm);
            let failed = host.calls.lock().unwrap()[nth - 1].clone();
            assert_eq!(settled.is_ok(), failed.starts_with("program: udevadm settle"), "{fault:?} in {failed}");
            remove_both(&host.lvm);
            assert_eq!(host.simulated.volumes(), ["vg/data", "vg/root"], "{fault:?} in {failed}");
            if failed.contains("lvconvert") {
                assert!(!host.simulated.is_suspended(&name("vg/root")), "{fault:?} in {failed}");
                assert!(!host.simulated.is_suspended(&name("vg/data")), "{fault:?} in {failed}");
            }
        }
    }
}

#[test]
fn a_snapshot_whose_answer_was_lost_is_found_and_removed() {
    let host = host();
    host.simulated.fail_program("lvconvert", 1, Fault::LosesReply);
    let cow = cow_of(&host.lvm, "vg/data", 0).unwrap();
    let error = cow.attach(DEADLINE).unwrap_err();
    assert!(matches!(error, LvmError::Program(ProgramError::TimedOut { .. })), "{error}");
    let attached = ExistingSnapshot { name: volume(0), is_dead: false, is_ours: true };
    assert_eq!(host.lvm.origin(&name("vg/data")).unwrap().snapshots, [attached], "it was attached all the same");
    host.lvm.remove(&volume(0)).unwrap();
    host.lvm.remove(&volume(0)).expect("what is gone is as good as removed");
    assert_eq!(host.simulated.volumes(), ["vg/data", "vg/root"]);
}

/// How often a program was called.
fn calls_of(host: &Host, program: &str) -> usize {
    let calls = host.calls.lock().unwrap();
    calls.iter().filter(|call| call.starts_with(&format!("program: {program} "))).count()
}

/// What an attach that was killed half way leaves of `vg/data`.
fn half_attached(host: &Host) {
    let cow = cow_of(&host.lvm, "vg/data", 0).unwrap();
    host.simulated.fail_program("lvconvert", calls_of(host, "lvconvert") + 1, Fault::DiesHalfWay);
    cow.attach(DEADLINE).unwrap_err();
}

#[test]
fn an_origin_whose_attach_ended_half_way_is_an_origin_again_once_the_cow_volume_is_removed() {
    let host = host();
    half_attached(&host);
    assert!(!host.simulated.is_suspended(&name("vg/data")));
    let refused = host.lvm.origin(&name("vg/data")).unwrap_err();
    assert!(matches!(refused, LvmError::NotAnOrigin { why: NoOrigin::StateUnknown, .. }), "{refused}");
    host.lvm.remove(&volume(0)).unwrap();
    host.lvm.origin(&name("vg/data")).unwrap();
}

#[test]
fn an_origin_is_refreshed_after_a_removal_only_where_its_attach_ended_half_way() {
    let host = host();
    snapshot_both(&host.lvm).unwrap();
    remove_both(&host.lvm);
    let refreshes = || host.calls.lock().unwrap().iter().filter(|call| call.contains("--refresh")).count();
    assert_eq!(refreshes(), 0);
    half_attached(&host);
    for _ in 0..2 {
        host.lvm.remove(&volume(0)).unwrap();
    }
    assert_eq!(refreshes(), 2, "one to resume it, and one after the first removal");
}

#[test]
fn a_refresh_after_a_removal_that_fails_does_not_fail_the_removal() {
    let host = host();
    half_attached(&host);
    host.simulated.fail_program("lvchange", calls_of(&host, "lvchange") + 1, Fault::Refuses);
    host.lvm.remove(&volume(0)).unwrap();
    assert_eq!(host.simulated.volumes(), ["vg/data", "vg/root"]);
    host.lvm.origin(&name("vg/data")).expect_err("it is said at the next survey");
    host.lvm.refresh(&name("vg/data")).unwrap();
    host.lvm.origin(&name("vg/data")).unwrap();
}

#[test]
fn a_removal_that_leaves_its_origin_suspended_is_none() {
    let host = host();
    (1..=3).for_each(|nth| host.simulated.fail_program("dmsetup", nth, Fault::Refuses));
    half_attached(&host);
    // It can look again, and nothing resumes it.
    let refreshed = calls_of(&host, "lvchange");
    (1..=2).for_each(|nth| host.simulated.fail_program("lvchange", refreshed + nth, Fault::Refuses));
    host.simulated.fail_program("dmsetup", 3 + 3, Fault::Refuses);
    let error = host.lvm.remove(&volume(0)).unwrap_err();
    assert!(matches!(error, LvmError::Suspended { .. }), "{error}");
    assert_eq!(host.simulated.volumes(), ["vg/data", "vg/root"]);
    host.lvm.remove(&volume(0)).unwrap();
    assert!(!host.simulated.is_suspended(&name("vg/data")));
}

#[test]
fn what_a_killed_run_left_suspended_another_one_resumes_and_makes_whole() {
    let host = host();
    for nth in 1..=3 {
        host.simulated.fail_program("dmsetup", nth, Fault::Refuses);
    }
    half_attached(&host);
    assert!(host.simulated.is_suspended(&name("vg/data")), "it could not look");
    // Of another process, which knows nothing of the attach.
    let lvm = Lvm::new(Arc::clone(&host.simulated) as _);
    assert!(lvm.resume(&name("vg/data")).unwrap());
    assert!(!host.simulated.is_suspended(&name("vg/data")));
    assert!(!lvm.resume(&name("vg/data")).unwrap(), "there is nothing left to resume");
    lvm.remove(&volume(0)).unwrap();
    lvm.origin(&name("vg/data")).unwrap_err();
    lvm.refresh(&name("vg/data")).unwrap();
    lvm.origin(&name("vg/data")).unwrap();
}

#[test]
fn a_volume_that_is_not_ours_is_never_removed() {
    let host = host();
    // The name of one of ours, without the tag.
    host.simulated.add_lv(&name("vg/stillpoint-r1-0"), &[3; 512]);
    for name in [name("vg/data"), name("vg/stillpoint-r1-0")] {
        assert!(matches!(host.lvm.remove(&name), Err(LvmError::NotOurs(_))));
    }
    assert_eq!(host.simulated.volumes(), ["vg/data", "vg/root", "vg/stillpoint-r1-0"]);
    assert!(!host.calls.lock().unwrap().iter().any(|entry| entry.contains("lvremove")));
}

#[test]
fn a_removal_that_is_busy_for_a_moment_is_tried_again() {
    let host = host();
    snapshot_both(&host.lvm).unwrap();
    host.simulated.fail_program("lvremove", 1, Fault::IsBusy);
    remove_both(&host.lvm);
    assert_eq!(host.simulated.volumes(), ["vg/data", "vg/root"]);
    assert_eq!(host.calls.lock().unwrap().iter().filter(|entry| entry.contains("lvremove")).count(), 3);
}

#[test]
fn a_group_without_room_says_how_much_is_missing_and_nothing_is_made() {
    let host = host();
    let origin = host.lvm.origin(&name("vg/data")).unwrap();
    let error = host.lvm.create_cow(&origin, volume(0), Bytes(500 << 20)).unwrap_err().to_string();
    assert!(error.contains("no room for a COW volume of 500 MiB: 192 MiB free, 308 MiB missing"), "{error}");
    assert_eq!(host.simulated.volumes(), ["vg/data", "vg/root"]);
}

#[test]
fn a_cow_is_made_in_whole_extents() {
    let host = host();
    let origin = host.lvm.origin(&name("vg/data")).unwrap();
    let cow = host.lvm.create_cow(&origin, volume(0), Bytes((5 << 20) + 1)).unwrap();
    assert_eq!(cow.size(), Bytes(8 << 20));
}

#[test]
fn a_missing_volume_is_said_with_the_names_near_it() {
    let host = host();
    let error = host.lvm.origin(&name("vg/dat")).unwrap_err().to_string();
    assert_eq!(error, "there is no logical volume vg/dat; did you mean vg/data?");
    let error = host.lvm.origin(&name("vg0/data")).unwrap_err().to_string();
    assert_eq!(error, "there is no volume group vg0; did you mean vg?");
}

#[test]
fn a_snapshot_is_no_origin() {
    let host = host();
    snapshot_both(&host.lvm).unwrap();
    let error = host.lvm.origin(&name("vg/stillpoint-r1-0")).unwrap_err().to_string();
    assert_eq!(error, "vg/stillpoint-r1-0 cannot be backed up through a snapshot: it is itself a snapshot, of root");
}

#[test]
fn an_origin_names_its_snapshots_and_which_of_them_are_dead() {
    let host = host();
    for number in 0..2 {
        cow_of(&host.lvm, "vg/data", number).unwrap().attach(DEADLINE).unwrap();
    }
    host.simulated.fill_cow(&volume(1), Bytes(COW.0 + 1));
    let origin = host.lvm.origin(&name("vg/data")).unwrap();
    let snapshot = |(n, is_dead)| ExistingSnapshot { name: volume(n), is_dead, is_ours: true };
    let [whole, dead] = [(0, false), (1, true)].map(snapshot);
    assert_eq!((origin.dead_snapshots(), &origin.snapshots[..]), (1, &[whole, dead][..]));
}

/// What the survey says of `vg/data` where a report says this.
fn refused(of: &str, field: &str, value: &str) -> String {
    let host = host();
    host.simulated.report(of, field, value);
    let error = host.lvm.origin(&name("vg/data")).unwrap_err();
    assert!(matches!(error, LvmError::NotAnOrigin { .. }), "{error}");
    error.to_string()
}

#[test]
fn what_lvm_would_refuse_in_the_window_the_survey_refuses() {
    for (of, field, value, why) in [
        ("vg/data", "lv_attr", "-wi-XX--X-", "in which state it is"),
        ("vg", "vg_attr", "wz--ns", "is shared"),
        ("vg", "vg_lock_type", "sanlock", "lock type `sanlock`"),
        ("vg", "vg_attr", "rz--n-", "read-only"),
        ("vg", "vg_attr", "wz-pn-", "physical volume of its group is missing"),
        ("vg", "max_lv", "2", "as many volumes as it may have"),
    ] {
        let said = refused(of, field, value);
        assert!(said.contains(why), "{field} {value}: {said}");
    }
}

#[test]
fn raid_is_an_origin_unless_it_has_integrity() {
    let host = host();
    host.simulated.report("vg/data", "lv_layout", "raid,raid1");
    assert_eq!(host.lvm.origin(&name("vg/data")).unwrap().layout, "raid,raid1");
    host.simulated.report("vg/data", "raidintegritymode", "journal");
    let error = host.lvm.origin(&name("vg/data")).unwrap_err().to_string();
    assert!(error.contains("RAID with integrity"), "{error}");
}

#[test]
fn a_cow_volume_that_the_host_would_not_activate_is_refused_before_it_is_made() {
    let host = host();
    host.simulated.set_volume_list(&["vg/data", "other"]);
    let error = host.lvm.origin(&name("vg/data")).unwrap_err().to_string();
    assert!(error.contains("activation/volume_list"), "{error}");
    host.simulated.set_volume_list(&["vg/data", "@stillpoint"]);
    host.lvm.origin(&name("vg/data")).unwrap();
}

#[test]
fn room_that_lvm_does_not_allocate_from_is_no_room_for_a_cow() {
    let host = host();
    let origin = host.lvm.origin(&name("vg/data")).unwrap();
    host.simulated.report("vg", "pv_attr", "---");
    let error = host.lvm.create_cow(&origin, volume(0), COW).unwrap_err();
    assert!(matches!(error, LvmError::NoRoom { free: Bytes(0), .. }), "{error}");
    assert_eq!(host.simulated.volumes(), ["vg/data", "vg/root"]);
}

#[test]
fn a_cow_that_filled_up_is_invalid_and_a_removed_one_missing() {
    let host = host();
    let cow = cow_of(&host.lvm, "vg/data", 0).unwrap();
    let snapshot = cow.attach(DEADLINE).unwrap();
    host.simulated.fill_cow(snapshot.name(), Bytes(10 << 20));
    assert_eq!(snapshot.state().unwrap().used_ratio(), Some(0.5));
    host.simulated.fill_cow(snapshot.name(), Bytes(COW.0 + 1));
    assert_eq!(snapshot.state().unwrap(), SnapshotState::Invalid);
    host.lvm.remove(snapshot.name()).unwrap();
    assert_eq!(snapshot.state().unwrap(), SnapshotState::Missing);
}

#[test]
fn a_host_tells_its_version_and_what_its_lvm_does_by_itself() {
    let host = host();
    let version = host.lvm.version().unwrap();
    assert_eq!((&*version.lvm, version.driver.as_deref()), ("2.03.16(2) (2022-05-18)", Some("4.47.0")));
    let monitoring = host.lvm.monitoring().unwrap();
    assert_eq!((monitoring.is_on, monitoring.threshold_percent), (true, 100));
    assert!(!host.lvm.scans_volumes().unwrap());
    host.simulated.set_number("devices/scan_lvs", 1);
    host.simulated.set_number("activation/snapshot_autoextend_threshold", 70);
    assert!(host.lvm.scans_volumes().unwrap());
    assert_eq!(host.lvm.monitoring().unwrap().threshold_percent, 70);
}

#[test]
fn a_host_that_does_not_tell_is_not_taken_for_the_usual_one() {
    let host = host();
    host.simulated.fail_program("lvmconfig", 1, Fault::Refuses);
    assert!(matches!(host.lvm.scans_volumes(), Err(LvmError::Program(ProgramError::Failed { .. }))));
}
