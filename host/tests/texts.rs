//! Every text that a command prints of itself, word for word: a changed word shows in a diff, and is meant.
//!
//! `INSTA_UPDATE=always cargo test -p stillpoint --test texts` writes them anew; read the diff before you commit it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use lvm::programs::ProgramError;
use lvm::{Bytes, Holder, LvmError};
use stillpoint::failure::{Cause, Failure, Kind};
use stillpoint::run::held::{Held, Left};
use stillpoint::step::Step;

fn help_of(arguments: &[&str]) -> String {
    let stillpoint = env!("CARGO_BIN_EXE_stillpoint");
    let output = Command::new(stillpoint).args(arguments).arg("--help").env("COLUMNS", "100").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help() {
    insta::assert_snapshot!("help", help_of(&[]));
    for command in ["backup", "plan", "doctor", "recover", "clean", "watch", "check", "ls", "cat", "cp"] {
        insta::assert_snapshot!(format!("help-{command}"), help_of(&[command]));
    }
}

#[test]
fn every_command_has_its_help_here() {
    let command = stillpoint::cli::command();
    let names: Vec<&str> =
        command.get_subcommands().filter(|command| !command.is_hide_set()).map(clap::Command::get_name).collect();
    assert_eq!(names, ["backup", "plan", "doctor", "recover", "clean", "watch", "check", "ls", "cat", "cp"]);
}

fn lv(name: &str) -> lvm::LvName {
    name.parse().unwrap()
}

/// One line for each failure that people meet, as `backup of db1` shows it.
#[test]
fn failures() {
    let busy = || LvmError::Busy {
        name: lv("vg/stillpoint-r1-0"),
        holders: vec![Holder::Process { pid: 4711, program: "dd".to_owned() }],
        cause: Box::new(ProgramError::Failed {
            command: "lvremove vg/stillpoint-r1-0".to_owned(),
            exit_code: 5,
            said: "Logical volume vg/stillpoint-r1-0 in use.".to_owned(),
        }),
    };
    let left = || {
        let held = Held::Cow { volume: lv("vg/stillpoint-r1-0"), origin: lv("vg/db") };
        Failure::new(Step::Remove, Left { left: vec![(held, busy().into())] })
    };
    let no_room = LvmError::NoRoom { vg: "vg".to_owned(), needed: Bytes(8 << 30), free: Bytes(1 << 30) };
    let failures = [
        Failure::new(Step::Job, Cause::usage("no disk of db1 is named", "give --disk VG/LV for each disk")),
        Failure::new(Step::Survey, LvmError::NoSuchLv { name: lv("vg/dat"), near: vec!["vg/data".to_owned()] }),
        Failure::new(Step::Survey, Cause::plain(Kind::GuestFrozen, "the guest's filesystems are frozen already")),
        Failure::new(Step::Plan, no_room),
        left(),
        Failure::new(Step::Copy, stillpoint::stop::Stopped(15)).and(left()),
    ];
    let texts: Vec<String> = failures
        .iter()
        .map(|failure| format!("{}exit {}\n", failure.describe("backup of db1"), failure.exit().code()))
        .collect();
    insta::assert_snapshot!("failures", texts.join("\n"));
    let last = failures.last().unwrap();
    insta::assert_snapshot!("failure-json", serde_json::to_string_pretty(&last.document("backup of db1")).unwrap());
}
