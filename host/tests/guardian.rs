//! The guardian of a run, as the real program: it waits for the run's end, whatever that is, and gives back what was held.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lvm::programs::HostPrograms;
use stillpoint::clock::Clock;
use stillpoint::failure::exit::Exit;
use stillpoint::run::Run;
use stillpoint::run::event::Listeners;
use stillpoint::run::guardian::{ready_mark, start};
use stillpoint::run::held::Held;
use stillpoint::run::record::RunRecord;
use stillpoint::step::Step;
use tempfile::TempDir;

const STILLPOINT: &str = env!("CARGO_BIN_EXE_stillpoint");

struct Setting {
    folder: TempDir,
}

impl Setting {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn partial(&self) -> PathBuf {
        self.folder.path().join(".b.img.zst.partial-0123456789abcdef")
    }

    /// A run with an unfinished file, and its guardian.
    fn guarded(&self) -> Run {
        let run = Run::begin(self.folder.path(), "db1", Clock::system(), Listeners::default()).unwrap();
        start(&HostPrograms, Path::new(STILLPOINT), run.log_path()).unwrap();
        run.intend(Step::Output, vec![Held::Partial { path: self.partial() }]).unwrap();
        fs::write(self.partial(), "half").unwrap();
        run
    }
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "not so in a minute: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// The processes that guard `log`.
fn guardians(log: &Path) -> Vec<i32> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let guards = |pid: &i32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|&byte| byte == 0);
        words.nth(1) == Some(b"guardian") && words.next() == Some(log.as_os_str().as_encoded_bytes())
    };
    processes.filter(guards).collect()
}

#[test]
fn what_a_run_held_that_died_is_given_back_by_its_guardian() {
    let setting = Setting::new();
    let run = setting.guarded();
    let log = run.log_path().to_owned();
    assert!(ready_mark(&log).exists() && setting.partial().exists());
    // As a kill does: the lock on the log goes, and nothing is said.
    drop(run);
    until("the log is closed", || RunRecord::read(&log).unwrap().is_closed());
    assert!(!setting.partial().exists());
    until("the guardian ends", || !ready_mark(&log).exists() && guardians(&log).is_empty());
    assert_eq!(RunRecord::read(&log).unwrap().held(), []);
}

#[test]
fn a_guardian_of_a_run_that_ended_as_it_should_says_nothing_and_goes() {
    let setting = Setting::new();
    let run = setting.guarded();
    let log = run.log_path().to_owned();
    fs::remove_file(setting.partial()).unwrap();
    run.close(Exit::Done);
    let text = fs::read(&log).unwrap();
    until("the guardian ends", || guardians(&log).is_empty());
    assert_eq!(fs::read(&log).unwrap(), text);
}

#[test]
fn a_guardian_is_in_a_session_of_its_own_and_keeps_none_of_our_streams() {
    let setting = Setting::new();
    let run = setting.guarded();
    let [pid] = *guardians(run.log_path()) else { panic!("one run, one guardian") };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(after_name[3], pid.to_string(), "it leads its session: {stat}");
    for stream in 0..3 {
        assert_eq!(fs::read_link(format!("/proc/{pid}/fd/{stream}")).unwrap(), Path::new("/dev/null"));
    }
    let log = run.log_path().to_owned();
    drop(run);
    until("the guardian ends", || guardians(&log).is_empty());
}

#[test]
fn a_signal_does_not_end_a_guardian_whose_run_lives() {
    let setting = Setting::new();
    let run = setting.guarded();
    let log = run.log_path().to_owned();
    let [pid] = *guardians(&log) else { panic!("one run, one guardian") };
    for signal in ["TERM", "INT", "HUP", "QUIT", "TSTP"] {
        assert!(std::process::Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
    }
    drop(run);
    until("the log is closed", || RunRecord::read(&log).unwrap().is_closed());
    assert!(!setting.partial().exists());
}
