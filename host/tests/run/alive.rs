//! Whether a run lives: told by its lock on the log, which no other process can have by chance.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use stillpoint::failure::exit::Exit;
use stillpoint::run::record::RunRecord;

use crate::begin;

/// Whether another process, the program of util-linux, gets the lock.
fn another_process_gets_the_lock(log: &Path) -> bool {
    Command::new("flock").arg("-n").arg(log).arg("true").status().expect("flock, of util-linux").success()
}

#[test]
fn a_run_lives_from_its_first_line_until_its_process_has_ended_it() {
    let state_dir = tempfile::tempdir().unwrap();
    let (run, log) = begin(state_dir.path());
    assert!(RunRecord::is_alive(&log).unwrap());
    assert!(!another_process_gets_the_lock(&log));
    run.close(Exit::Done);
    assert!(!RunRecord::is_alive(&log).unwrap());
    assert!(another_process_gets_the_lock(&log));
}

#[test]
fn a_run_that_ends_without_a_word_is_not_alive() {
    let state_dir = tempfile::tempdir().unwrap();
    let (run, log) = begin(state_dir.path());
    drop(run);
    assert!(!RunRecord::is_alive(&log).unwrap());
    assert!(!RunRecord::read(&log).unwrap().is_closed());
}

#[test]
fn a_run_of_another_process_lives_until_that_ends() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("r1.jsonl");
    let mut other = Command::new("flock")
        .arg(&log)
        .args(["sh", "-c", "echo locked; read end"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock, of util-linux");
    let mut said = String::new();
    BufReader::new(other.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert!(RunRecord::is_alive(&log).unwrap());
    other.stdin.take().unwrap().write_all(b"end\n").unwrap();
    other.wait().unwrap();
    assert!(!RunRecord::is_alive(&log).unwrap());
}

/// Programs that a run starts may outlive it, as a `lvconvert` that hangs: they do not make it look alive.
#[test]
fn a_program_that_outlives_its_run_does_not_hold_the_lock() {
    let state_dir = tempfile::tempdir().unwrap();
    let (run, log) = begin(state_dir.path());
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    drop(run);
    assert!(!RunRecord::is_alive(&log).unwrap());
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn whoever_looks_does_not_keep_others_from_looking() {
    let state_dir = tempfile::tempdir().unwrap();
    let (run, log) = begin(state_dir.path());
    run.close(Exit::Done);
    let looking = std::fs::File::open(&log).unwrap();
    looking.try_lock_shared().unwrap();
    assert!(!RunRecord::is_alive(&log).unwrap());
    assert!(RunRecord::is_alive(&log.with_extension("none")).is_err());
}
