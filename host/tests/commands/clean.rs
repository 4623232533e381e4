//! `clean` as a shell calls it, beside programs that only pretend to be LVM's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use crate::started::{Ended, stillpoint};

/// A folder with `vgs`, `lvs` and `dmsetup` of a host that has nothing; `vgs` does as `script` says. Each leaves word that it was
/// started.
fn host(vgs: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let none = "echo 'No devices found'";
    for (program, script) in [("vgs", vgs), ("lvs", "exit 5"), ("dmsetup", none)] {
        let path = folder.path().join(program);
        let started = folder.path().join("started");
        fs::write(&path, format!("#!/bin/sh\n: >'{}'\n{script}\n", started.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn clean(host: &TempDir, arguments: &[&str]) -> Ended {
    let mut command: Command = stillpoint();
    command.args(["clean", "--json", "--config", "/dev/null", "--state-dir"]).arg(host.path());
    Ended::of(command.args(arguments).env("PATH", host.path()).stdin(std::process::Stdio::null()))
}

const NO_GROUPS: &str = r#"echo '{"report": [{"vg": []}]}'"#;

#[test]
fn a_host_with_nothing_stale_ends_with_0() {
    let ended = clean(&host(NO_GROUPS), &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.document, serde_json::json!({ "format": 1, "findings": [], "not_looked_at": [] }));
}

#[test]
fn what_could_not_be_looked_at_is_said_and_ends_with_1() {
    let ended = clean(&host("echo '  stuck' >&2; exit 5"), &[]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let why = ended.document["not_looked_at"][0]["why"].as_str().unwrap();
    assert!(why.contains("stuck"), "{why}");
}

#[test]
fn where_nobody_can_be_asked_nothing_is_looked_at_and_it_ends_with_2() {
    let host = host(NO_GROUPS);
    clean(&host, &["vg/snap"]).assert_failed(2, "usage", "--yes");
    assert!(!host.path().join("started").exists());
}

#[test]
fn a_name_of_nothing_ends_with_2() {
    clean(&host(NO_GROUPS), &["--yes", "vg/snap"]).assert_failed(2, "no-such-lv", "`lvs vg`");
    clean(&host(NO_GROUPS), &["--yes", "snap"]).assert_failed(2, "usage", "lists what is stale");
}
