//! What a purge of the package does with run logs, as the program writes them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use stillpoint::clock::Clock;
use stillpoint::run_log::RunLog;
use stillpoint::step::Step;

type Outcome = Result<Value, String>;

/// Writes the log of a run that passed these steps, purges, and says whether the log is still there and what was said.
fn purge_after(steps: &[(Step, Option<Outcome>)]) -> (bool, String) {
    let root = tempfile::tempdir().unwrap();
    let state_dir = root.path().join("var/lib/stillpoint");
    let log = RunLog::create(&state_dir, "db1", Clock::system()).unwrap();
    for (step, outcome) in steps {
        log.begin(*step, &json!({ "volumes": ["vg/stillpoint-1-0"] })).unwrap();
        if let Some(outcome) = outcome.clone() {
            log.end(*step, outcome);
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("debian/scripts/postrm");
    let purged = Command::new("sh").arg(script).arg("purge").env("DPKG_ROOT", root.path()).output().unwrap();
    assert!(purged.status.success());
    (state_dir.exists(), String::from_utf8(purged.stderr).unwrap())
}

fn done() -> Option<Outcome> {
    Some(Ok(Value::Null))
}

fn failed() -> Option<Outcome> {
    Some(Err("vg/stillpoint-1-0 is in use".to_owned()))
}

#[test]
fn the_log_of_a_run_that_gave_everything_back_goes() {
    let (kept, said) = purge_after(&[(Step::CowVolumes, done()), (Step::Remove, done()), (Step::Publish, done())]);
    assert!(!kept && said.is_empty(), "{said}");
}

#[test]
fn the_log_of_a_run_that_ended_in_the_middle_stays() {
    let (kept, said) = purge_after(&[(Step::CowVolumes, done()), (Step::Freeze, None)]);
    assert!(kept && said.contains("stillpoint-*"), "{said}");
}

#[test]
fn the_log_of_a_backup_that_was_published_and_left_its_volumes_stays() {
    let (kept, said) = purge_after(&[(Step::CowVolumes, done()), (Step::Remove, failed()), (Step::Publish, done())]);
    assert!(kept && said.contains("kept"), "{said}");
}

#[test]
fn a_guest_that_names_itself_like_a_line_of_the_log_changes_nothing() {
    let lie = || Some(Ok(json!(r#"x","mark":"done","step":"publish"}"#)));
    assert!(purge_after(&[(Step::CowVolumes, done()), (Step::Freeze, lie())]).0);
}
