//! Bad input gets one clear sentence and the right exit code, and nothing is changed.

use std::path::Path;

use stillpoint_tests::lab::guest::RESTRICTED_SOCKET;
use stillpoint_tests::lab::scenario::scenario;
use stillpoint_tests::lab::stillpoint::Run;
use stillpoint_tests::lab::volume::{DATA, ROOT};
use stillpoint_tests::machine::mount::Mount;
use stillpoint_tests::machine::program::run;

/// Whatever was refused, nothing was taken for it.
fn refused(mut run: Run, code: i32, words: &[&str]) {
    let before = run.target().exists().then(|| run.files());
    run.end().refused(code, words);
    assert_eq!(run.target().exists().then(|| run.files()), before);
    let taken = ["cow-volumes", "lock", "freeze", "snapshot"];
    assert!(!run.steps().iter().any(|(step, _)| taken.contains(&&**step)), "{:?}", run.steps());
}

#[test]
fn no_such_volume() {
    scenario(|_| refused(Run::backup().with(&["--disk", "vg/nothing"]), 2, &["vg/nothing"]));
}

#[test]
fn no_such_volume_group() {
    scenario(|_| refused(Run::backup().with(&["--disk", "nowhere/db"]), 2, &["nowhere"]));
}

#[test]
fn a_volume_without_a_filesystem() {
    scenario(|_| {
        run("lvcreate", &["-q", "-y", "-n", "blank", "-L", "64m", "vg"]);
        refused(Run::backup().with(&["--disk", "vg/blank"]), 1, &["vg/blank", "no filesystem"]);
        run("lvremove", &["-q", "-f", "vg/blank"]);
    });
}

#[test]
fn no_agent() {
    let absent = Run::of("backup").with(&["--disk", DATA, "--agent", "unix:/run/lab/nobody.sock"]);
    scenario(|_| refused(absent, 1, &["/run/lab/nobody.sock"]));
}

#[test]
fn an_agent_that_blocks_guest_exec_where_the_session_has_to_go_through_it() {
    let agent = format!("unix:{RESTRICTED_SOCKET}");
    let restricted = Run::of("backup").with(&["--disk", DATA, "--db", "agent", "--agent", &agent]);
    scenario(|_| refused(restricted, 1, &["guest-exec"]));
}

#[test]
fn a_volume_group_without_room_for_the_cow() {
    scenario(|_| {
        run("lvcreate", &["-q", "-y", "-Z", "n", "-W", "n", "-n", "filler", "-l", "100%FREE", "vg"]);
        run("lvreduce", &["-q", "-y", "-f", "-L", "-64m", "vg/filler"]);
        let run_in_full_group = Run::backup().with(&["--disk", DATA, "--cow-size", "160M"]);
        refused(run_in_full_group, 1, &["160 MiB", "64 MiB", "96 MiB"]);
        run("lvremove", &["-q", "-f", "vg/filler"]);
    });
}

#[test]
fn a_target_folder_that_is_missing() {
    let missing = Path::new("/run/share/nowhere");
    scenario(|_| refused(Run::backup().with(&["--disk", DATA]).to(missing), 2, &["/run/share/nowhere"]));
}

#[test]
fn a_target_folder_that_is_not_writable() {
    scenario(|_| refused(Run::backup().with(&["--disk", DATA]).to(Path::new("/usr")), 2, &["/usr", "not writable"]));
}

#[test]
fn a_name_that_is_taken() {
    scenario(|_| {
        let run = Run::backup().with(&["--disk", DATA]);
        std::fs::write(run.target().join("backup.json"), "of another backup").unwrap();
        refused(run, 2, &["backup.json", "exists"]);
    });
}

/// This one shows only when the copy is under way.
#[test]
fn a_target_that_is_full_fails_the_backup_and_is_left_as_it_was() {
    scenario(|_| {
        let backup = Run::backup().with(&["--disk", ROOT, "--cow-size", "200M"]);
        let small = Mount::tmpfs("8m");
        let mut backup = backup.to(&small.point);
        backup.end().refused(1, &["copy", "full"]);
        assert_eq!(backup.files(), [""; 0]);
    });
}
