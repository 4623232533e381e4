//! Snapshots that are made ready before the window, on simulated volume groups with real locks.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lvm::programs::ProgramError;
use lvm::simulated::{Fault, SimulatedLvm};
use lvm::{Bytes, CowVolume, Holder, LvName, Lvm, LvmError, RunId};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(50);

struct Host {
    simulated: Arc<SimulatedLvm>,
    lvm: Lvm,
    calls: Arc<Mutex<Vec<String>>>,
    _dev: TempDir,
}

fn name(text: &str) -> LvName {
    text.parse().unwrap()
}

/// The groups `vg` and `ssd` of 200 MiB, with the guest's disks `vg/root`, `vg/data` and `ssd/log`.
fn host() -> Host {
    let dev = tempfile::tempdir().unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&calls);
    let simulated = Arc::new(SimulatedLvm::new(dev.path(), move |call| recorded.lock().unwrap().push(call)));
    for vg in ["vg", "ssd"] {
        simulated.add_vg(vg, Bytes(200 << 20));
    }
    for disk in ["vg/root", "vg/data", "ssd/log"] {
        simulated.add_lv(&name(disk), &[1; 4096]);
    }
    let lvm = Lvm::with_device_dir(Arc::clone(&simulated) as _, dev.path());
    Host { simulated, lvm, calls, _dev: dev }
}

impl Host {
    /// A COW volume for each of these origins.
    fn cows(&self, origins: &[&str]) -> Vec<CowVolume> {
        let run: RunId = "r1".parse().unwrap();
        let cow = |(number, origin): (usize, &&str)| {
            let origin = self.lvm.origin(&name(origin)).unwrap();
            self.lvm.create_cow(&origin, run.volume(origin.name.vg(), number).unwrap(), Bytes(20 << 20)).unwrap()
        };
        origins.iter().enumerate().map(cow).collect()
    }

    /// What was called since, each as its program, its last word, and the remark behind it.
    fn calls_since(&self, before: usize) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        let short = |call: &String| {
            let (command, remark) = call.split_once(" (").map_or((&**call, ""), |(command, remark)| (command, remark));
            let words: Vec<&str> = command.split(' ').collect();
            format!("{} {} {remark}", words[1], words[words.len() - 1]).trim_end().to_owned()
        };
        calls[before..].iter().map(short).collect()
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn has_snapshots(&self, origin: &str) -> bool {
        !self.lvm.origin(&name(origin)).unwrap().snapshots.is_empty()
    }
}

#[test]
fn in_the_window_nothing_is_started() {
    let host = host();
    let cows = host.cows(&["vg/root", "ssd/log"]);
    let before = host.calls();
    let ready = host.lvm.make_ready(cows, DEADLINE).unwrap();
    assert!(ready.is_ready());
    assert_eq!(
        host.calls_since(before),
        [
            "lvmconfig global/locking_type",
            "lvconvert vg/stillpoint-r1-0 waits at the lock)",
            "lvconvert ssd/stillpoint-r1-1 waits at the lock)"
        ]
    );
    assert!(!host.has_snapshots("vg/root"));
    let before = host.calls();
    ready.attach(DEADLINE).unwrap();
    assert_eq!(host.calls_since(before), ["lvconvert vg/stillpoint-r1-0", "lvconvert ssd/stillpoint-r1-1"]);
}

#[test]
fn the_command_waits_at_the_lock_and_not_behind_others_at_the_door_to_it() {
    let host = host();
    let cows = host.cows(&["vg/root"]);
    let before = host.calls();
    host.lvm.make_ready(cows, DEADLINE).unwrap().attach(DEADLINE).unwrap();
    assert_eq!(
        host.calls.lock().unwrap()[before + 2],
        concat!(
            "program: lvconvert --yes --config 'backup{backup=0 archive=0} activation{monitoring=0} ",
            "devices{use_devicesfile=0 filter=[\"a|^/dev/simulated$|\",\"r|.*|\"]} global{prioritise_write_locks=0}' ",
            "--noudevsync --type snapshot --zero n --chunksize 4k vg/root vg/stillpoint-r1-0"
        )
    );
}

#[test]
fn the_snapshots_come_in_the_order_of_the_cow_volumes() {
    let host = host();
    let cows = host.cows(&["vg/data", "ssd/log", "vg/root"]);
    let snapshots = host.lvm.make_ready(cows, DEADLINE).unwrap().attach(DEADLINE).unwrap();
    let of: Vec<String> = snapshots.iter().map(|snapshot| snapshot.origin().to_string()).collect();
    assert_eq!(of, ["vg/data", "ssd/log", "vg/root"]);
    assert!(snapshots.iter().all(|snapshot| snapshot.state().unwrap().is_whole()));
}

#[test]
fn without_cow_volumes_there_is_nothing_to_do() {
    assert!(host().lvm.make_ready(Vec::new(), DEADLINE).unwrap().attach(DEADLINE).unwrap().is_empty());
}

#[test]
fn what_is_given_up_is_ended_and_changes_nothing() {
    let host = host();
    let cows = host.cows(&["vg/root", "vg/data"]);
    let ready = host.lvm.make_ready(cows.clone(), DEADLINE).unwrap();
    let before = host.calls();
    drop(ready);
    assert_eq!(
        host.calls_since(before),
        ["lvconvert vg/stillpoint-r1-0 ended at the lock)", "lvconvert vg/stillpoint-r1-1 ended at the lock)"]
    );
    assert!(!host.has_snapshots("vg/root") && !host.has_snapshots("vg/data"));
    host.lvm.make_ready(cows, SHORT).expect("the locks are free").attach(DEADLINE).unwrap();
}

#[test]
fn whichever_group_is_locked_it_and_its_holder_are_named_and_the_others_are_let_go() {
    for locked in [0, 1] {
        let host = host();
        let both = host.cows(&["vg/root", "ssd/log"]);
        let _held = host.lvm.make_ready(vec![both[locked].clone()], DEADLINE).unwrap();
        let Err(LvmError::GroupLocked { vg, holders, .. }) = host.lvm.make_ready(both.clone(), SHORT) else {
            panic!("{locked} is locked")
        };
        assert_eq!(vg, both[locked].name().vg());
        let [Holder::Process { pid, .. }] = &holders[..] else { panic!("{holders:?}") };
        assert_eq!(*pid, std::process::id());
        let _other = host.lvm.make_ready(vec![both[1 - locked].clone()], SHORT).expect("the other group is free");
    }
}

#[test]
fn when_one_fails_the_later_ones_are_ended_and_the_error_names_what_may_exist() {
    let disks = ["vg/root", "vg/data", "ssd/log"];
    for nth in 1..=disks.len() {
        for fault in [Fault::Refuses, Fault::LosesReply, Fault::LeavesSuspended, Fault::DiesHalfWay] {
            let host = host();
            let cows = host.cows(&disks);
            host.simulated.fail_program("lvconvert", nth, fault);
            let before = host.calls();
            let error = host.lvm.make_ready(cows.clone(), DEADLINE).unwrap().attach(DEADLINE).unwrap_err();
            let ended = host.calls_since(before).iter().filter(|call| call.ends_with("ended at the lock)")).count();
            let LvmError::NotAttached { may_exist, cause } = &error else { panic!("{error}") };
            assert_eq!((may_exist.len(), ended), (nth, disks.len() - nth), "{nth} {fault:?}: {error}");
            assert!(matches!(**cause, LvmError::Program(_)), "{error}");
            assert!(error.to_string().contains(&format!("{} may exist", may_exist[nth - 1])), "{error}");
            assert!(disks.iter().all(|disk| !host.simulated.is_suspended(&name(disk))), "{nth} {fault:?}");
            for cow in &cows {
                host.lvm.remove(cow.name()).unwrap();
            }
            assert!(disks.iter().all(|disk| !host.has_snapshots(disk)), "all are origins again: {nth} {fault:?}");
        }
    }
}

#[test]
fn after_a_failure_every_origin_of_the_batch_is_looked_at() {
    let host = host();
    let cows = host.cows(&["vg/root", "ssd/log"]);
    host.simulated.fail_program("lvconvert", 1, Fault::LosesReply);
    let before = host.calls();
    host.lvm.make_ready(cows, DEADLINE).unwrap().attach(DEADLINE).unwrap_err();
    let looks = host.calls_since(before).iter().filter(|call| call.starts_with("dmsetup")).count();
    assert_eq!(looks, 2);
}

#[test]
fn where_no_time_is_left_nothing_is_taken() {
    let host = host();
    let cows = host.cows(&["vg/root", "vg/data"]);
    let before = host.calls();
    let error = host.lvm.make_ready(cows, DEADLINE).unwrap().attach(Duration::ZERO).unwrap_err();
    assert!(matches!(error, LvmError::Program(ProgramError::TimedOut { .. })), "{error}");
    assert_eq!(
        host.calls_since(before)[3..],
        [0, 1].map(|n| format!("lvconvert vg/stillpoint-r1-{n} ended at the lock)"))
    );
    assert!(!host.has_snapshots("vg/root"));
}

/// A host whose LVM does not wait for locks.
fn host_without_locks() -> Host {
    let host = host();
    host.simulated.set_wait_for_locks(false);
    host
}

#[test]
fn where_lvm_does_not_wait_for_locks_everything_is_done_in_the_window() {
    let host = host_without_locks();
    let cows = host.cows(&["vg/root", "ssd/log"]);
    let before = host.calls();
    let ready = host.lvm.make_ready(cows, DEADLINE).unwrap();
    assert!(!ready.is_ready());
    assert!(ready.why_not().unwrap().contains("wait_for_locks"), "{:?}", ready.why_not());
    assert_eq!(host.calls_since(before), ["lvmconfig global/locking_type"]);
    assert_eq!(ready.attach(DEADLINE).unwrap().len(), 2);
    assert_eq!(
        host.calls_since(before)[1..],
        ["lvconvert vg/stillpoint-r1-0", "lvconvert ssd/stillpoint-r1-1"],
        "and nothing was started"
    );
}

#[test]
fn where_lvmconfig_does_not_answer_everything_is_done_in_the_window() {
    let host = host();
    let cows = host.cows(&["vg/root"]);
    let configured = host.calls_since(0).iter().filter(|call| call.starts_with("lvmconfig")).count();
    host.simulated.fail_program("lvmconfig", configured + 1, Fault::Refuses);
    let ready = host.lvm.make_ready(cows, DEADLINE).unwrap();
    assert!(!ready.is_ready());
    ready.attach(DEADLINE).unwrap();
}

#[test]
fn one_after_the_other_a_failure_ends_the_batch_and_names_what_may_exist() {
    for (nth, fault) in [(1, Fault::Refuses), (2, Fault::LosesReply), (2, Fault::LeavesSuspended)] {
        let host = host_without_locks();
        let cows = host.cows(&["vg/root", "vg/data", "ssd/log"]);
        host.simulated.fail_program("lvconvert", nth, fault);
        let error = host.lvm.make_ready(cows, DEADLINE).unwrap().attach(DEADLINE).unwrap_err();
        let LvmError::NotAttached { may_exist, .. } = &error else { panic!("{error}") };
        assert_eq!(may_exist.len(), nth, "{error}");
        assert!(!host.has_snapshots("ssd/log"));
        assert!(!host.simulated.is_suspended(&name("vg/data")), "{fault:?}");
    }
}

#[test]
fn one_after_the_other_nothing_is_begun_when_no_time_is_left() {
    let host = host_without_locks();
    let cows = host.cows(&["vg/root"]);
    let error = host.lvm.make_ready(cows, DEADLINE).unwrap().attach(Duration::ZERO).unwrap_err();
    assert_eq!(error.to_string(), "no time was left to take the snapshot vg/stillpoint-r1-0");
    assert!(!host.has_snapshots("vg/root"));
}
