//! `clean` as a shell calls it, beside programs that only pretend to be LVM's.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::started::{Ended, stillpoint};

/// A folder with `vgs`, `lvs` and `dmsetup` of a host that has nothing; `vgs` does as it is told. Each leaves word that it was
/// started.
fn host(vgs: &str) -> TempDir {
    host_of(&[("vgs", vgs), ("lvs", "exit 5"), ("dmsetup", "echo 'No devices found'")])
}

fn host_of(programs: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (program, script) in programs {
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
    Ended::of(command.args(arguments).env("PATH", host.path()).stdin(Stdio::null()))
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

/// A host with a snapshot `vg/snap`, which is not active.
fn host_with_a_snapshot() -> TempDir {
    let vgs = r#"echo '{"report": [{"vg": [{"vg_name": "vg", "vg_uuid": "v"}]}]}'"#;
    let lvs = r#"echo '{"report": [{"lv": [{"vg_name": "vg", "vg_uuid": "v", "lv_name": "snap", "lv_uuid": "s-1",
        "lv_size": "4096", "lv_attr": "swi---s---", "origin": "db", "lv_time": "1764100060"}]}]}'"#;
    let lvremove = r#"echo "$@" >"$(dirname "$0")/removed""#;
    host_of(&[("vgs", vgs), ("lvs", lvs), ("dmsetup", "echo 'No devices found'"), ("lvremove", lvremove)])
}

/// `clean vg/snap` on a terminal, which is answered so: what it ends with, and what it showed.
fn asked(host: &TempDir, answer: &str) -> (Option<i32>, String) {
    let line = format!(
        "'{}' clean --config /dev/null --state-dir '{}' vg/snap",
        env!("CARGO_BIN_EXE_stillpoint"),
        host.path().display()
    );
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("PATH", format!("{}:/usr/bin:/bin", host.path().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, of util-linux");
    terminal.stdin.as_mut().unwrap().write_all(answer.as_bytes()).unwrap();
    let ended = terminal.wait_with_output().unwrap();
    (ended.status.code(), String::from_utf8_lossy(&ended.stdout).into_owned())
}

#[test]
fn on_a_terminal_what_is_named_is_shown_and_removed_only_after_a_yes() {
    for (answer, exit) in [("n\n", 2), ("\n", 2), ("y\n", 0)] {
        let host = host_with_a_snapshot();
        let (code, shown) = asked(&host, answer);
        assert!(shown.contains("lvremove --yes --select lv_uuid=s-1 vg/snap"), "{shown}");
        assert_eq!(code, Some(exit), "{answer:?}: {shown}");
        let removed = fs::read_to_string(host.path().join("removed")).ok();
        let yes = (exit == 0).then(|| "--yes --select lv_uuid=s-1 vg/snap\n".to_owned());
        assert_eq!(removed, yes, "{answer:?}: {shown}");
    }
}

#[test]
fn a_name_of_nothing_ends_with_2() {
    clean(&host(NO_GROUPS), &["--yes", "vg/snap"]).assert_failed(2, "no-such-lv", "`lvs vg`");
    clean(&host(NO_GROUPS), &["--yes", "snap"]).assert_failed(2, "usage", "lists what is stale");
}
