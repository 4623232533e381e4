//! What it does not take over from whoever started it: a `PATH` into their folder, a SIGCHLD that they ignore.

use std::process::Command;

use crate::started::{Ended, FakeLvm, PLAN, stillpoint};

#[test]
fn no_program_of_the_current_folder_is_started() {
    for path in [None, Some(""), Some(":/usr/bin"), Some("/usr/bin:"), Some("."), Some("./")] {
        let fake = FakeLvm::new();
        let mut plan = stillpoint();
        plan.args(PLAN).current_dir(fake.folder()).env_remove("PATH");
        if let Some(path) = path {
            plan.env("PATH", path);
        }
        let ended = Ended::of(&mut plan);
        assert!(!fake.was_started(), "PATH {path:?}: {}", ended.stderr);
    }
}

#[test]
fn a_folder_that_is_named_whole_in_the_path_is_searched_first() {
    let fake = FakeLvm::new();
    let ended = Ended::of(stillpoint().args(PLAN).env("PATH", fake.folder()));
    ended.assert_failed(1, "lvm-locked", "lslocks");
    assert!(fake.was_started());
}

#[test]
fn a_parent_that_ignores_the_end_of_its_children_does_not_hide_how_programs_ended() {
    let fake = FakeLvm::new();
    let ended = Ended::of(
        Command::new("env")
            .args(["--ignore-signal=CHLD", env!("CARGO_BIN_EXE_stillpoint")])
            .args(PLAN)
            .env("PATH", format!("{}:/usr/bin:/bin", fake.folder().display())),
    );
    ended.assert_failed(1, "lvm-locked", "lslocks");
}
