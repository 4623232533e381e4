//! One run a VM and an origin at a time: told by locks that no death of their holder outlives.

use std::path::Path;
use std::process::Command;

use lvm::LvName;
use stillpoint::failure::exit::Exit;
use stillpoint::failure::{At, Cause, Kind};
use stillpoint::run::claim::{Claim, ClaimError};
use stillpoint::step::Step;

fn claim(state_dir: &Path, vm: Option<&str>, origins: &[&str]) -> Result<Claim, ClaimError> {
    let origins: Vec<LvName> = origins.iter().map(|name| name.parse().unwrap()).collect();
    Claim::take(state_dir, vm, &origins)
}

#[test]
fn a_second_run_of_the_same_vm_ends_at_once_and_names_the_first() {
    let state_dir = tempfile::tempdir().unwrap();
    let first = claim(state_dir.path(), Some("db1"), &["vg/a"]).unwrap();
    first.name(&"r1".parse().unwrap());
    let refused = Cause::from(claim(state_dir.path(), Some("db1"), &["vg/b"]).unwrap_err());
    let named = format!("another backup of the VM db1 is under way: run r1, pid {}", std::process::id());
    assert_eq!((refused.kind, refused.to_string()), (Kind::AlreadyRunning, named));
    assert_eq!(Err::<(), _>(refused).at(Step::Survey).unwrap_err().exit(), Exit::Failed);
}

#[test]
fn a_run_of_another_vm_that_shares_an_origin_is_refused_and_one_that_shares_none_is_not() {
    let state_dir = tempfile::tempdir().unwrap();
    let _first = claim(state_dir.path(), Some("db1"), &["vg/a", "vg/b"]).unwrap();
    let refused = claim(state_dir.path(), Some("db2"), &["vg/c", "vg/b"]).unwrap_err().to_string();
    assert!(refused.starts_with("another backup of vg/b is under way: pid "), "{refused}");
    // What was refused has claimed nothing.
    drop(claim(state_dir.path(), Some("db2"), &["vg/c"]).unwrap());
    // Its volume is called like that of db1, and is another one.
    drop(claim(state_dir.path(), None, &["other/a"]).unwrap());
}

#[test]
fn names_that_look_alike_in_one_file_name_are_different_origins() {
    let state_dir = tempfile::tempdir().unwrap();
    let _first = claim(state_dir.path(), None, &["vg-a/b"]).unwrap();
    drop(claim(state_dir.path(), None, &["vg/a-b"]).unwrap());
}

#[test]
fn a_claim_ends_with_its_holder_and_no_program_that_it_started_keeps_it() {
    let state_dir = tempfile::tempdir().unwrap();
    let first = claim(state_dir.path(), Some("db1"), &["vg/a"]).unwrap();
    let mut outlives = Command::new("sleep").arg("60").spawn().unwrap();
    drop(first);
    let second = claim(state_dir.path(), Some("db1"), &["vg/a"]);
    outlives.kill().unwrap();
    outlives.wait().unwrap();
    drop(second.unwrap());
    let kept = state_dir.path().join("origin-vg-a.lock");
    assert!(kept.exists(), "of a file that is removed somebody may hold the lock");
    let killed = Command::new("flock").arg("-n").arg(kept).args(["sh", "-c", "kill -9 $$"]).status().unwrap();
    assert!(!killed.success());
    drop(claim(state_dir.path(), Some("db1"), &["vg/a"]).unwrap());
}

#[test]
fn a_state_folder_that_cannot_be_made_is_no_other_run() {
    let error = claim(Path::new("/proc/self/state"), Some("db1"), &[]).unwrap_err();
    assert_eq!(Cause::from(error).kind, Kind::RunLog);
}
