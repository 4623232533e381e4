//! What a purge of the package does with run logs, as the program writes them, and that `runs/`, with which `test-deb`
//! purges a package, has such logs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use stillpoint::clock::Clock;
use stillpoint::failure::exit::Exit;
use stillpoint::failure::{Cause, Failure};
use stillpoint::run::Run;
use stillpoint::run::claim::Claim;
use stillpoint::run::entry::{Entry, FORMAT, Mark};
use stillpoint::run::event::Listeners;
use stillpoint::run::held::Held;
use stillpoint::step::Step;

/// Writes the log of a run of which `steps` is the story, purges, and says whether the log is still there and what was said.
fn purge_after(steps: impl FnOnce(Run)) -> (bool, String) {
    let root = tempfile::tempdir().unwrap();
    let state_dir = root.path().join("var/lib/stillpoint");
    // As every run does; its locks stay, and say nothing.
    drop(Claim::take(&state_dir, Some("db1"), &["vg/db".parse().unwrap()]).unwrap());
    steps(Run::begin(&state_dir, "db1", Clock::system(), Listeners::default()).unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("debian/scripts/postrm");
    let purged = Command::new("sh").arg(script).arg("purge").env("DPKG_ROOT", root.path()).output().unwrap();
    assert!(purged.status.success());
    (state_dir.exists(), String::from_utf8(purged.stderr).unwrap())
}

fn cow() -> Held {
    Held::Cow { volume: "vg/stillpoint-r1-0".parse().unwrap(), origin: "vg/db".parse().unwrap() }
}

fn failure() -> Failure {
    Failure::new(Step::Remove, Cause::refused(r#"x","left":[]} "mark":"closed""#, ""))
}

#[test]
fn the_log_of_a_run_that_gave_everything_back_goes() {
    let (kept, said) = purge_after(|run| {
        run.intend(Step::CowVolumes, vec![cow()]).unwrap();
        run.done(Step::Remove, vec![cow()], None);
        run.close(Exit::Done);
    });
    assert!(!kept && said.is_empty(), "{said}");
}

#[test]
fn the_log_of_a_run_that_failed_and_gave_everything_back_goes() {
    let (kept, said) = purge_after(|run| {
        run.intend(Step::CowVolumes, vec![cow()]).unwrap();
        run.failed(Step::CowVolumes, vec![cow()], &failure());
        run.close(Exit::Failed);
    });
    assert!(!kept && said.is_empty(), "{said}");
}

#[test]
fn the_log_of_a_run_that_ended_in_the_middle_stays() {
    let (kept, said) = purge_after(|run| run.intend(Step::CowVolumes, vec![cow()]).unwrap());
    assert!(kept && said.contains("stillpoint-*"), "{said}");
}

#[test]
fn the_log_of_a_run_that_left_something_stays() {
    let (kept, said) = purge_after(|run| {
        run.intend(Step::CowVolumes, vec![cow()]).unwrap();
        run.failed(Step::Remove, Vec::new(), &failure());
        run.close(Exit::NeedsPerson);
    });
    assert!(kept && said.contains("kept"), "{said}");
}

#[test]
fn words_that_look_like_the_end_of_a_log_change_nothing() {
    let (kept, _) = purge_after(|run| {
        run.intend(Step::CowVolumes, vec![cow()]).unwrap();
        run.failed(Step::Remove, Vec::new(), &failure());
    });
    assert!(kept);
}

#[test]
fn the_sample_logs_are_lines_that_the_program_writes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs");
    for (name, end) in [("closed", Some(0)), ("left", Some(1)), ("open", None)] {
        let text = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap();
        let entries: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let written = entries.iter().map(|entry| serde_json::to_string(entry).unwrap() + "\n").collect::<String>();
        assert_eq!(text, written, "{name}");
        assert!(matches!(&entries[0].mark, Mark::Begun(begun) if begun.format == FORMAT), "{name}");
        let left = match &entries.last().unwrap().mark {
            Mark::Closed { left, .. } => Some(left.len()),
            _ => None,
        };
        assert_eq!(left, end, "{name}");
    }
}
