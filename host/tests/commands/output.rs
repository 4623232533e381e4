//! What becomes of its output where that leads nowhere.

use std::fs::{File, OpenOptions};
use std::io;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::started::stillpoint;

/// A sound filesystem in a file.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        let made = Command::new("mke2fs").args(["-q", "-t", "ext4"]).arg(&path).arg("2M").output();
        assert!(made.expect("mke2fs, of the package e2fsprogs").status.success());
        Self(folder)
    }

    fn run(&self, command: &[&str], stdout: impl Into<Stdio>) -> Output {
        let mut program = stillpoint();
        program.args(command).arg(self.0.path().join("disk.img"));
        program.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
    }
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

const COMMANDS: [&[&str]; 4] = [&["check", "--json"], &["check"], &["ls", "-R"], &["ls", "--json"]];

#[test]
fn output_that_is_lost_is_a_failure_and_said() {
    let disk = Disk::new();
    for command in COMMANDS {
        assert_eq!(disk.run(command, Stdio::null()).status.code(), Some(0), "{command:?}");
        let lost = disk.run(command, full());
        let said = String::from_utf8(lost.stderr).unwrap();
        assert_eq!(lost.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains("error: cannot write to stdout: No space left on device"), "{command:?}: {said}");
    }
}

#[test]
fn a_help_that_is_lost_is_a_failure() {
    for flag in ["--help", "--version"] {
        let mut program = stillpoint();
        let ended = program.arg(flag).stdout(full()).stderr(Stdio::null()).status().unwrap();
        assert_eq!(ended.code(), Some(1), "{flag}");
    }
}

#[test]
fn output_that_is_lost_does_not_hide_a_failure() {
    let mut plan = stillpoint();
    plan.args(["plan", "--json", "--config", "/dev/null"]).stdout(full()).stderr(Stdio::piped());
    let ended = plan.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn a_reader_that_has_enough_is_no_failure_and_not_worth_a_word() {
    let disk = Disk::new();
    for command in COMMANDS {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let ended = disk.run(command, writer);
        assert_eq!((ended.status.code(), &*ended.stderr), (Some(0), &b""[..]), "{command:?}");
    }
}

#[test]
fn a_stderr_that_is_gone_changes_nothing() {
    let disk = Disk::new();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut program = stillpoint();
    program.args(["-vv", "check"]).arg(disk.0.path().join("disk.img")).stderr(writer);
    let output = program.output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("verdict: consistent"));
}
