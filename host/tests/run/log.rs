//! Writing a log.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;

use stillpoint::run::log::RunLog;
use stillpoint::run::record::RunRecord;
use stillpoint::step::Step;

use crate::{begun, done, id, intent, lines};

#[test]
fn a_log_that_has_its_name_has_its_first_line_and_is_locked() {
    let state_dir = tempfile::tempdir().unwrap();
    let log = RunLog::create(state_dir.path(), &id(), &begun()).unwrap();
    let path = state_dir.path().join("runs/r1.jsonl");
    assert_eq!(lines(&path), ["begun"]);
    assert!(RunRecord::is_alive(&path).unwrap());
    let names: Vec<_> =
        std::fs::read_dir(state_dir.path().join("runs")).unwrap().map(|one| one.unwrap().path()).collect();
    assert_eq!(names, [path]);
    drop(log);
}

#[test]
fn a_log_and_the_folders_made_for_it_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let log = RunLog::create(&folder.path().join("lib/stillpoint"), &id(), &begun()).unwrap();
    let mode = |path: &str| std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    for made in ["lib", "lib/stillpoint", "lib/stillpoint/runs"] {
        assert_eq!(mode(made), 0o700, "{made}");
    }
    assert_eq!(mode("lib/stillpoint/runs/r1.jsonl"), 0o600);
    drop(log);
}

#[test]
fn a_log_that_exists_is_not_written_to() {
    let state_dir = tempfile::tempdir().unwrap();
    drop(RunLog::create(state_dir.path(), &id(), &begun()).unwrap());
    let path = state_dir.path().join("runs/r1.jsonl");
    let before = std::fs::read(&path).unwrap();
    let error = RunLog::create(state_dir.path(), &id(), &begun()).unwrap_err();
    assert_eq!(error.source.kind(), ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(state_dir.path().join("runs")).unwrap().count(), 1);
}

#[test]
fn lines_that_are_held_back_are_written_in_their_order_when_nobody_stands_still_any_more() {
    let state_dir = tempfile::tempdir().unwrap();
    let log = RunLog::create(state_dir.path(), &id(), &begun()).unwrap();
    let path = state_dir.path().join("runs/r1.jsonl");
    let held_back = log.hold_back();
    for step in [Step::Lock, Step::Freeze, Step::Thaw] {
        log.append(&done(step)).unwrap();
    }
    assert_eq!(lines(&path), ["begun"]);
    drop(held_back);
    assert_eq!(lines(&path), ["begun", "done lock", "done freeze", "done thaw"]);
    log.append(&done(Step::Unlock)).unwrap();
    assert_eq!(lines(&path).last().unwrap(), "done unlock");
}

#[test]
fn an_intent_takes_along_what_was_held_back_before_it() {
    let state_dir = tempfile::tempdir().unwrap();
    let log = RunLog::create(state_dir.path(), &id(), &begun()).unwrap();
    let path = state_dir.path().join("runs/r1.jsonl");
    let held_back = log.hold_back();
    log.append(&done(Step::Lock)).unwrap();
    log.append_synced(&intent(Step::Freeze)).unwrap();
    assert_eq!(lines(&path), ["begun", "done lock", "intent freeze"]);
    log.append(&done(Step::Freeze)).unwrap();
    assert_eq!(lines(&path).len(), 3, "somebody still stands still");
    drop(held_back);
    assert_eq!(lines(&path).len(), 4);
}

/// A disk that fills up takes half a line. A line behind it would spoil the whole log.
#[test]
fn half_a_line_of_a_write_that_failed_is_cut_off_before_the_next() {
    let state_dir = tempfile::tempdir().unwrap();
    let log = RunLog::create(state_dir.path(), &id(), &begun()).unwrap();
    let path = state_dir.path().join("runs/r1.jsonl");
    OpenOptions::new().append(true).open(&path).unwrap().write_all(br#"{"at":"2026-"#).unwrap();
    log.append(&done(Step::Lock)).unwrap();
    assert_eq!(lines(&path), ["begun", "done lock"]);
}
