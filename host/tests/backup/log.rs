//! The run log: when it is written, and what it says at the end.

use std::sync::{Arc, Mutex};

use lvm::Lvm;
use lvm::simulated::Fault as LvmFault;
use serde_json::Value;
use stillpoint::ask::connect::World;
use stillpoint::failure::Kind;
use stillpoint::failure::exit::Exit;
use stillpoint::run::record::RunRecord;

use super::peers::Interposing;
use super::setting::{Setting, names};

#[tokio::test(start_paused = true)]
async fn nothing_is_written_to_the_log_between_lock_and_unlock() {
    let setting = Setting::new();
    let log = setting.path("state/runs");
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let programs = Interposing {
        inner: setting.lvm.clone(),
        on: "lvconvert",
        then: Arc::new({
            let seen = seen.clone();
            move || seen.lock().unwrap().push(std::fs::read_to_string(log.join(&names(&log)[0])).unwrap())
        }),
    };
    let lvm = Lvm::with_device_dir(Arc::new(programs), setting.path("dev"));
    setting.back_up_in(World { lvm, ..setting.world() }).await.unwrap();
    let seen = seen.lock().unwrap();
    let steps = |text: &str| -> Vec<(String, String)> {
        let word = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| (word(&line, "step"), word(&line, "mark"))).collect()
    };
    for text in &*seen {
        let last: Vec<(String, String)> = steps(text).into_iter().rev().take(2).collect();
        assert_eq!(last, [("lock".into(), "intent".into()), ("freeze".into(), "intent".into())], "{text}");
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_log_is_closed_and_leaves_nothing() {
    for failing in [false, true] {
        let setting = Setting::new();
        if failing {
            setting.lvm.fail_program("lvconvert", 2, LvmFault::Refuses);
        }
        assert_eq!(setting.back_up().await.is_err(), failing);
        let runs = setting.path("state/runs");
        let record = RunRecord::read(&runs.join(&names(&runs)[0])).unwrap();
        assert!(record.is_closed() && record.held().is_empty() && !record.torn, "{record:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_removed_is_in_the_closing_line() {
    let setting = Setting::new();
    for nth in 1..=8 {
        setting.lvm.fail_program("lvremove", nth, LvmFault::Refuses);
    }
    let outcome = setting.back_up().await.unwrap();
    assert_eq!(outcome.exit(), Exit::NeedsPerson);
    let runs = setting.path("state/runs");
    let record = RunRecord::read(&runs.join(&names(&runs)[0])).unwrap();
    let left: Vec<String> = record.held().iter().map(ToString::to_string).collect();
    assert!(record.is_closed() && left.len() == 2, "{left:?}");
    assert!(left[0].contains("COW volume vg/stillpoint-") && left[0].ends_with("of vg/root"), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_log_that_cannot_be_written_stops_the_run_before_anything_is_taken() {
    let setting = Setting::new();
    std::fs::write(setting.path("state"), "no folder").unwrap();
    let failure = setting.back_up().await.unwrap_err();
    assert_eq!(failure.cause.kind, Kind::RunLog, "{failure}");
    assert_eq!(failure.exit(), Exit::Failed);
    setting.assert_nothing_is_held("no run log");
    setting.assert_no_marker_is_left("no run log");
    assert!(!setting.log.entries().iter().any(|entry| entry.contains("lvcreate")));
}
