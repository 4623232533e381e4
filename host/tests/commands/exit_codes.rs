//! What it ends with where a shell can see it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use stillpoint::run::claim::Claim;

use crate::started::{Ended, FakeLvm, PLAN, stillpoint};

/// The user and group that may do nothing.
const NOBODY: u32 = 65534;

#[test]
fn a_command_line_that_asks_for_what_cannot_be_ends_with_2() {
    let unknown = Ended::of(stillpoint().arg("frobnicate"));
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
    let nothing = Ended::of(stillpoint().args(["plan", "--json", "--config", "/dev/null"]));
    nothing.assert_failed(2, "usage", "--disk VG/LV");
    assert!(nothing.stderr.starts_with("stillpoint: plan failed: no disk is named\n"), "{}", nothing.stderr);
    let config = Ended::of(stillpoint().args(["plan", "db1", "--json", "--config", "/no-such-file"]));
    config.assert_failed(2, "configuration", "--config");
}

#[test]
fn a_target_that_is_not_there_ends_with_2_and_says_no_step_twice() {
    let missing = Ended::of(stillpoint().args(["check", "--json", "/no-such-disk"]));
    missing.assert_failed(2, "no-such-disk", "VG/LV");
    let said = "stillpoint: check of /no-such-disk failed: cannot open /no-such-disk: No such file";
    assert!(missing.stderr.starts_with(said), "{}", missing.stderr);
}

#[test]
fn without_rights_or_without_lvm_it_ends_with_1() {
    // Where everybody may run it: the folder that it was built in may be root's alone.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("stillpoint");
    fs::copy(env!("CARGO_BIN_EXE_stillpoint"), &program).unwrap();
    let mut plan = Command::new(program);
    plan.args(PLAN).current_dir("/");
    if is_root() {
        plan.uid(NOBODY).gid(NOBODY);
    }
    let ended = Ended::of(&mut plan);
    match ended.kind() {
        "program-missing" => ended.assert_failed(1, "program-missing", "lvm2"),
        _ => ended.assert_failed(1, "not-permitted", "as root"),
    }
}

#[test]
fn a_second_backup_of_an_origin_ends_with_1_and_has_asked_nobody() {
    let (lvm, state_dir) = (FakeLvm::new(), tempfile::tempdir().unwrap());
    let claim = Claim::take(state_dir.path(), None, &["vg/db".parse().unwrap()]).unwrap();
    let mut backup = stillpoint();
    backup.args(["backup", "--json", "--config", "/dev/null", "--disk", "vg/db", "--no-freeze", "--state-dir"]);
    backup.arg(state_dir.path()).arg("--to").arg(state_dir.path()).env("PATH", lvm.folder());
    let second = Ended::of(&mut backup);
    second.assert_failed(1, "already-running", "wait for its end");
    let named = format!("another backup of vg/db is under way: pid {}\n", std::process::id());
    assert!(second.stderr.contains(&named) && !lvm.was_started(), "{}", second.stderr);
    drop(claim);
    Ended::of(&mut backup).assert_failed(1, "lvm-locked", "lslocks");
}

#[test]
fn help_has_the_exit_codes() {
    let output = stillpoint().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("Exit codes:\n  0  done, at the required grade"), "{help}");
    assert!(help.contains("\n  6  a guest may still be frozen"), "{help}");
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}
