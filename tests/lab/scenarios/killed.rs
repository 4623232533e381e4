//! Whatever kills the coordinator, whenever: the guest goes on, and nothing is left.

use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use stillpoint_tests::lab::guest::{Guest, until};
use stillpoint_tests::lab::proxy::AgentWithAnEvent;
use stillpoint_tests::lab::scenario::{assert_nothing_is_left, scenario};
use stillpoint_tests::lab::stillpoint::{Run, files_of};
use stillpoint_tests::lab::volume::{self, DATA, ROOT};
use stillpoint_tests::machine::program::run;

/// How long the guest may stand still once nobody is there but the guardian.
const STANDS_STILL: Duration = Duration::from_secs(30);

fn kill(child: &mut Child) {
    run("kill", &["-s", "KILL", &child.id().to_string()]);
    child.wait().unwrap();
}

/// The log of the run says that it is over, and nothing that it held is there.
fn assert_the_guardian_has_given_everything_back(guest: &Guest, run: &Run) {
    let began = Instant::now();
    until("the guest is thawed", || !guest.is_frozen());
    assert!(began.elapsed() < STANDS_STILL, "the guest stood still for {:?}", began.elapsed());
    until("the guardian closes the run's log", || run.log_text().contains(r#""mark":"closed""#));
    until("no volume is left", || volume::foreign().is_empty());
    assert_nothing_is_left(guest);
    assert_eq!(files_of(&run.target()), [""; 0]);
    let recovered = Run::of("recover").with(&["--state-dir", run.state_dir().to_str().unwrap()]).end().with_code(0);
    assert_eq!(recovered.stdout, "No run has left anything.\n");
}

#[test]
fn killed_between_freeze_and_thaw_the_guest_is_thawed_by_the_guardian() {
    scenario(|guest| {
        guest.start_ticks(20);
        guest.wait_for_ticks(5);
        let pid = Arc::new(AtomicU32::new(0));
        let victim = pid.clone();
        // The freeze is on its way, and nobody is there to thaw.
        let agent = AgentWithAnEvent::start(move || {
            run("kill", &["-s", "KILL", &victim.load(Ordering::SeqCst).to_string()]);
        });
        let agent = format!("unix:{}", agent.socket().display());
        let mut backup = Run::of("backup").with(&[
            "--agent",
            &agent,
            "--disk",
            ROOT,
            "--disk",
            DATA,
            "--db",
            "agent",
            "--cow-size",
            "100M",
        ]);
        let mut child = backup.start();
        pid.store(child.id(), Ordering::SeqCst);
        assert_eq!(child.wait().unwrap().code(), None, "it was to be killed");
        assert_the_guardian_has_given_everything_back(guest, &backup);
        let before = guest.last_tick();
        until("the guest takes writes", || guest.last_tick() > before);
    });
}

#[test]
fn killed_in_the_copy_its_snapshots_and_unfinished_files_are_removed_by_the_guardian() {
    scenario(|guest| {
        let arguments = ["--disk", ROOT, "--cow-size", "200M", "--level", "19"];
        let mut backup = Run::backup().with(&arguments);
        let mut child = backup.start();
        let copy = ("copy".to_owned(), "intent".to_owned());
        until("the run copies", || backup.steps().contains(&copy));
        kill(&mut child);
        assert_the_guardian_has_given_everything_back(guest, &backup);
    });
}

#[test]
fn killed_with_its_guardian_the_next_recovery_gives_everything_back() {
    scenario(|guest| {
        let mut backup = Run::backup().with(&["--disk", ROOT, "--cow-size", "200M", "--level", "19"]);
        let mut child = backup.start();
        let copy = ("copy".to_owned(), "intent".to_owned());
        until("the run copies", || backup.steps().contains(&copy));
        run("pkill", &["-KILL", "-f", &format!("guardian {}", backup.state_dir().display())]);
        kill(&mut child);
        assert!(!volume::foreign().is_empty(), "nobody is there to remove them");
        let recovered =
            Run::of("recover").with(&["--state-dir", backup.state_dir().to_str().unwrap()]).end().with_code(0);
        assert!(recovered.stdout.contains("given back  the COW volume"), "{}", recovered.stdout);
        assert_nothing_is_left(guest);
        assert_eq!(files_of(&backup.target()), [""; 0]);
    });
}

#[test]
fn the_next_backup_recovers_first() {
    scenario(|guest| {
        let mut backup = Run::backup().with(&["--disk", DATA, "--cow-size", "200M", "--require", "filesystem"]);
        let mut child = backup.start();
        let made = ("cow-volumes".to_owned(), "done".to_owned());
        until("the run has a volume", || backup.steps().contains(&made));
        run("pkill", &["-KILL", "-f", &format!("guardian {}", backup.state_dir().display())]);
        kill(&mut child);
        let mut next = Run::backup().with(&["--disk", DATA, "--cow-size", "200M", "--require", "crash"]).after(&backup);
        let ended = next.end().with_code(0);
        assert!(ended.stderr.contains("died"), "{}", ended.stderr);
        assert_nothing_is_left(guest);
    });
}
