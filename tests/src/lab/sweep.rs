//! A backup whose coordinator dies after one entry of its run log, and what comes of it. The entries are taken as they are told: from
//! the lock to the unlock none is on the disk yet.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::guest::{Guest, until};
use super::scenario::assert_nothing_is_left;
use super::stillpoint::{Ended, Run, files_of};
use super::volume;

/// Who is there to help, once the coordinator is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helper {
    /// The run's guardian, on the host.
    Guardian,
    /// The guardian died with the coordinator: the watchdog in the guest, and later whoever calls `recover`.
    Watchdog,
    /// The hypervisor's power is cut. It boots again, and `recover` is called.
    Boot,
}

/// What came of one death.
#[derive(Debug)]
pub struct Outcome {
    /// The longest time between two commits of the stream of inserts, in milliseconds, by the guest's own clock.
    pub longest_gap_ms: u64,
    /// How many lines `recover` said that it gave something back.
    pub given_back: usize,
    /// The grade of the next backup.
    pub next_grade: String,
}

/// A backup of all, of which every step is told as a document.
#[must_use]
pub fn backup() -> Run {
    Run::backup_of_all().with(&["--cow-size", "100M", "--progress", "json"]).within("20s")
}

/// The entries of an undisturbed backup, in order: `freeze done` is one.
///
/// # Panics
/// Where it fails.
#[must_use]
pub fn entries() -> Vec<String> {
    let mut run = backup();
    let ended = run.end().with_code(0);
    ended.stderr.lines().filter_map(entry).collect()
}

/// Ends the coordinator after the entry number `number`, counted from 0, and its guardian at once where nobody but the watchdog is to
/// help. `None` where the run was over before.
///
/// # Panics
/// Where the lab misbehaves.
#[must_use]
pub fn cut_off(run: &mut Run, number: usize, helper: Helper) -> Option<String> {
    let mut child = run.start();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let reached = told.by_ref().filter_map(|line| entry(&line)).nth(number);
    if reached.is_some() {
        match helper {
            Helper::Guardian => {}
            Helper::Watchdog => guardians_of(&run.state_dir()).into_iter().for_each(end),
            Helper::Boot => cut_the_power(),
        }
        end(pid_of(&child));
    }
    // What it still says must not keep it.
    told.for_each(drop);
    child.wait().unwrap();
    reached
}

/// Ends the guest's QEMU with -9 after `entry` of a backup, and looks that nothing of that is left on the host. What came of the backup: the
/// kind of its failure with its exit code, or its grade.
///
/// # Panics
/// Where something is left, or the backup never came to `entry`.
#[must_use]
pub fn without_its_vm(wanted: &str) -> String {
    let mut run = backup().with(&["--json"]);
    let mut child = run.start();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.by_ref().any(|line| entry(&line).as_deref() == Some(wanted)), "no {wanted}");
    let qemu = fs::read_to_string("/run/lab/qemu.pid").unwrap();
    end(Pid::from_raw(qemu.trim().parse().unwrap()));
    told.for_each(drop);
    let ended = Ended::of(child);
    assert_eq!(volume::foreign(), [], "volumes left behind");
    // Of what the run could not give back, all is gone with the VM, or waits for it.
    recover(&run.state_dir());
    let unfinished: Vec<String> = run.files().into_iter().filter(|name| name.contains("partial")).collect();
    assert_eq!(unfinished, [""; 0]);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let word = |document: &Value, name: &str| document[name].as_str().unwrap_or("?").to_owned();
    match ended.code {
        Some(0) => word(&document, "grade"),
        code => format!("{}, exit {}", word(&document["error"], "kind"), code.unwrap_or(-1)),
    }
}

/// Waits until writes go on, has `recover` give back what is left, and looks that nothing is, and that the next backup is as good as
/// any. The stream of inserts must be running.
///
/// # Panics
/// Where any of it is not so.
#[must_use]
pub fn outcome(guest: &Guest, run: &Run, since: u64, helper: Helper) -> Outcome {
    let before = guest.last_tick();
    until("the guest takes writes", || guest.last_tick() > before + 5);
    // A run that has taken nothing yet may have died before it had a guardian.
    if helper == Helper::Guardian && run.log_text().contains(r#""mark":"intent""#) {
        until("the guardian closes the run's log", || run.log_text().contains(r#""mark":"closed""#));
    }
    let given_back = recover(&run.state_dir());
    assert!(helper == Helper::Watchdog || given_back == 0, "the guardian had left {given_back}");
    let longest_gap_ms = guest.longest_gap_ms(since);
    Outcome { longest_gap_ms, given_back, next_grade: next_grade(guest, &run.state_dir(), &run.target()) }
}

/// As [`outcome`], in the boot after a power cut, whose run has its folder below `share`.
///
/// # Panics
/// Where nothing is as it should be.
#[must_use]
pub fn outcome_of_a_cut(guest: &Guest, share: &Path) -> Outcome {
    let folders = fs::read_dir(share).unwrap().map(|entry| entry.unwrap().path());
    let cut: Vec<PathBuf> = folders.filter(|folder| folder.join("state/runs").is_dir()).collect();
    let [folder] = &cut[..] else { panic!("one run was cut off, not {cut:?}") };
    let given_back = recover(&folder.join("state"));
    guest.start_ticks(20);
    guest.wait_for_ticks(5);
    let next_grade = next_grade(guest, &folder.join("state"), &folder.join("target"));
    Outcome { longest_gap_ms: 0, given_back, next_grade }
}

/// How many things were given back.
fn recover(state_dir: &Path) -> usize {
    let recovered = Run::of("recover").with(&["--state-dir", state_dir.to_str().unwrap()]).end().with_code(0);
    recovered.stdout.lines().filter(|line| line.contains("given back")).count()
}

/// Looks that nothing is left, and backs up once more.
fn next_grade(guest: &Guest, state_dir: &Path, target: &Path) -> String {
    assert_nothing_is_left(guest);
    let unfinished: Vec<String> = files_of(target).into_iter().filter(|name| name.contains("partial")).collect();
    assert_eq!(unfinished, [""; 0]);
    let mut next = backup().with_state(state_dir);
    let ended = next.end();
    assert_eq!(ended.code, Some(0), "the next backup: {}", ended.stderr);
    let grade = next.receipt()["grade"].as_str().unwrap_or_default().to_owned();
    assert_eq!(grade, "application");
    grade
}

/// Not a shutdown: nothing is written out, nobody is told.
fn cut_the_power() {
    fs::write("/proc/sysrq-trigger", "o").unwrap();
    std::thread::park();
}

/// Step and mark of a line of `--progress json`, where it is an entry of the run log.
fn entry(line: &str) -> Option<String> {
    let document: Value = serde_json::from_str(line).ok()?;
    if document["event"] != "step" {
        return None;
    }
    let word = |name: &str| document[name].as_str().unwrap_or_default();
    Some(format!("{} {}", word("step"), word("mark")).trim_start().to_owned())
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// One that has ended by itself is as dead.
fn end(pid: Pid) {
    kill(pid, Signal::SIGKILL).ok();
}

/// The processes `stillpoint guardian LOG` whose log is below `state_dir`.
fn guardians_of(state_dir: &Path) -> Vec<Pid> {
    let is_guardian = |words: &[u8]| {
        let mut words = words.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        words.any(|word| word == "guardian") && words.any(|log| Path::new(log.as_ref()).starts_with(state_dir))
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes
        .filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| is_guardian(&words)))
        .map(Pid::from_raw)
        .collect()
}

/// One line of the table.
#[must_use]
pub fn row(entry: &str, outcome: &Outcome, began: Instant) -> String {
    format!(
        "| {entry} | {:.1} s | {} | {} | {} s |",
        f64::from(u32::try_from(outcome.longest_gap_ms).unwrap_or(u32::MAX)) / 1000.0,
        outcome.given_back,
        outcome.next_grade,
        began.elapsed().as_secs()
    )
}
