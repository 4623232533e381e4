//! Locks between processes. LVM is simulated but for `lvconvert`, for which a script stands: it locks the group's file as LVM does,
//! and then makes a marker.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lvm::programs::{HostPrograms, Invocation, Output, ProgramError, Programs, Started};
use lvm::simulated::SimulatedLvm;
use lvm::{Bytes, CowVolume, Holder, LvName, Lvm, LvmError, RunId, SnapshotVolume};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);
/// Where another process of this test has its locks.
const FOLDER: &str = "STILLPOINT_TEST_LOCK_FOLDER";

/// Waits for the lock `$1` as LVM does, with its words when it is interrupted there, and makes the marker `$2`.
const CONVERTS: &str = "trap 'echo \"Giving up waiting for lock.\" >&2; exit 5' TERM
    exec 9>>\"$1\"; flock --exclusive 9 & wait $! || exit 5
    trap - TERM
    touch \"$2\"";

/// As [`CONVERTS`], and does not come to an end.
const HANGS: &str = "trap 'echo \"Giving up waiting for lock.\" >&2; exit 5' TERM
    exec 9>>\"$1\"; flock --exclusive 9 & wait $! || exit 5
    trap - TERM
    touch \"$2\"; sleep 60";

/// Removes the lock before it takes it.
const REPLACES: &str = "rm \"$1\"; exec flock --exclusive \"$1\" touch \"$2\"";

struct Scripted {
    simulated: Arc<SimulatedLvm>,
    locks: PathBuf,
    markers: PathBuf,
    script: &'static str,
}

impl Programs for Scripted {
    fn output(&self, invocation: &Invocation) -> Result<Output, ProgramError> {
        if invocation.program() == "lvmconfig" && invocation.to_string().contains("global/locking_dir") {
            let said = format!("locking_dir=\"{}\"\nwait_for_locks=1\n", self.locks.display());
            return Ok(Output { stdout: said.into_bytes(), ..Output::default() });
        }
        self.simulated.output(invocation)
    }

    fn start(&self, invocation: &Invocation) -> Result<Box<dyn Started>, ProgramError> {
        let cow: LvName = invocation.arguments().last().unwrap().to_str().unwrap().parse().unwrap();
        let (lock, marker) = (self.locks.join(format!("V_{}", cow.vg())), self.markers.join(cow.lv()));
        let sh = Invocation::new("sh", invocation.deadline()).args(["-c", self.script, "lvconvert"]);
        HostPrograms.start(&sh.arg(lock).arg(marker))
    }
}

struct Host {
    lvm: Lvm,
    folder: TempDir,
    locks: PathBuf,
}

/// The groups `vg` and `ssd`, whose locks are in this folder.
fn host_with_locks(script: &'static str, locks: impl FnOnce(&Path) -> PathBuf) -> Host {
    let folder = tempfile::tempdir().unwrap();
    let locks = locks(folder.path());
    let (dev, markers) = (folder.path().join("dev"), folder.path().join("markers"));
    for made in [&dev, &markers, &locks] {
        std::fs::create_dir_all(made).unwrap();
    }
    let simulated = Arc::new(SimulatedLvm::new(&dev, drop));
    for (vg, disks) in [("vg", &["root", "data"][..]), ("ssd", &["log"])] {
        simulated.add_vg(vg, Bytes(200 << 20));
        for disk in disks {
            simulated.add_lv(&LvName::new(vg, disk).unwrap(), &[1; 4096]);
        }
    }
    let programs = Scripted { simulated, locks: locks.clone(), markers, script };
    Host { lvm: Lvm::with_device_dir(Arc::new(programs), dev), folder, locks }
}

fn host(script: &'static str) -> Host {
    host_with_locks(script, |folder| folder.join("lock"))
}

impl Host {
    fn cows(&self, origins: &[&str]) -> Vec<CowVolume> {
        let run: RunId = "r1".parse().unwrap();
        let cow = |(number, origin): (usize, &&str)| {
            let origin = self.lvm.origin(&origin.parse().unwrap()).unwrap();
            self.lvm.create_cow(&origin, run.volume(origin.name.vg(), number).unwrap(), Bytes(20 << 20)).unwrap()
        };
        origins.iter().enumerate().map(cow).collect()
    }

    /// What the scripts have done.
    fn markers(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("markers")).unwrap().count()
    }

    /// Whether another process can have the lock of `vg` now.
    fn is_free(&self) -> bool {
        let lock = self.locks.join("V_vg");
        Command::new("flock").args(["--nonblock", "--exclusive"]).arg(lock).arg("true").status().unwrap().success()
    }
}

/// Another program that holds the lock of `vg`.
struct Stranger(Child);

impl Stranger {
    fn holding(host: &Host) -> Self {
        let mut flock = Command::new("flock");
        flock.arg("--no-fork").arg(host.locks.join("V_vg")).args(["sh", "-c", "echo mine; exec sleep 60"]);
        let mut child = flock.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        Self(child)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn nothing_is_taken_before_the_locks_are_let_go() {
    let host = host(CONVERTS);
    let ready = host.lvm.make_ready(host.cows(&["vg/root", "vg/data", "ssd/log"]), LONG).unwrap();
    assert!(ready.is_ready());
    assert_eq!(host.markers(), 0);
    assert!(!host.is_free());
    assert_eq!(ready.attach(LONG).unwrap().len(), 3);
    assert_eq!(host.markers(), 3);
    assert!(host.is_free());
}

#[test]
fn what_is_given_up_is_ended_before_the_locks_are_let_go() {
    let host = host(CONVERTS);
    drop(host.lvm.make_ready(host.cows(&["vg/root", "vg/data"]), LONG).unwrap());
    assert!(host.is_free(), "none of them waits for the lock any more, or has it");
    assert_eq!(host.markers(), 0);
}

#[test]
fn a_stranger_that_holds_the_lock_is_named_and_not_waited_for_for_ever() {
    let host = host(CONVERTS);
    let cows = host.cows(&["vg/root"]);
    let stranger = Stranger::holding(&host);
    let error = host.lvm.make_ready(cows, SHORT).map(drop).unwrap_err();
    let LvmError::GroupLocked { vg, holders, .. } = &error else { panic!("{error}") };
    assert_eq!((&**vg, &holders[..]), ("vg", &[Holder::Process { pid: stranger.0.id(), program: "sleep".into() }][..]));
    assert!(error.to_string().ends_with(&format!("held by sleep with pid {}", stranger.0.id())), "{error}");
}

#[test]
fn a_stranger_that_lets_go_in_time_only_delays() {
    let host = host(CONVERTS);
    let cows = host.cows(&["vg/root"]);
    let stranger = Stranger::holding(&host);
    let lvm = host.lvm.clone();
    let waiting = std::thread::spawn(move || lvm.make_ready(cows, LONG).unwrap().attach(LONG).unwrap().len());
    drop(stranger);
    assert_eq!(waiting.join().unwrap(), 1);
}

#[test]
fn a_lock_file_that_is_replaced_is_noticed_before_the_window() {
    let host = host(REPLACES);
    let error = host.lvm.make_ready(host.cows(&["vg/root"]), LONG).map(drop).unwrap_err();
    let noticed = matches!(error, LvmError::LockReplaced { .. } | LvmError::TooEarly { .. });
    assert!(noticed, "as such, or by what happened for want of it: {error}");
    let removed = host_with_locks("rm \"$1\"; exec sleep 60", |folder| folder.join("lock"));
    let error = removed.lvm.make_ready(removed.cows(&["vg/root"]), LONG).map(drop).unwrap_err();
    assert!(matches!(&error, LvmError::LockReplaced { vg } if vg == "vg"), "{error}");
}

#[test]
fn a_command_that_fails_before_it_comes_to_the_lock_says_why() {
    let host = host("echo 'Volume group \"vg\" not found' >&2; exit 5");
    let error = host.lvm.make_ready(host.cows(&["vg/root"]), LONG).map(drop).unwrap_err();
    assert!(error.to_string().contains("failed with exit code 5: Volume group \"vg\" not found"), "{error}");
    assert!(host.is_free());
}

#[test]
fn a_command_that_does_not_come_to_the_lock_in_time_is_ended() {
    let host = host("exec sleep 60");
    let error = host.lvm.make_ready(host.cows(&["vg/root"]), SHORT).map(drop).unwrap_err();
    assert!(matches!(error, LvmError::NotReady { .. }), "{error}");
    assert!(host.is_free());
}

#[test]
fn a_command_that_does_not_end_in_the_window_is_ended_and_the_next_never_has_its_turn() {
    let host = host(HANGS);
    let ready = host.lvm.make_ready(host.cows(&["vg/root", "vg/data"]), LONG).unwrap();
    // Long enough for one of them to have the lock.
    let error = ready.attach(SHORT * 5).unwrap_err();
    assert_eq!(host.markers(), 1, "one had the lock");
    let LvmError::NotAttached { may_exist, cause } = &error else { panic!("{error}") };
    assert_eq!(may_exist.len(), 1, "the other gave up: {error}");
    assert!(matches!(&**cause, LvmError::Program(ProgramError::TimedOut { gone: true, .. })), "{error}");
    assert!(host.is_free());
}

/// Makes snapshots ready and takes them, again and again.
fn rounds(host: &Host, origins: &[&str]) {
    let cows = host.cows(origins);
    for _ in 0..10 {
        let taken: Vec<SnapshotVolume> = host.lvm.make_ready(cows.clone(), LONG).unwrap().attach(LONG).unwrap();
        assert_eq!(taken.len(), origins.len());
    }
}

#[test]
fn two_processes_with_the_same_groups_do_not_wait_for_each_other_for_ever() {
    let host = host(CONVERTS);
    let mut other = Command::new(std::env::current_exe().unwrap());
    other.args(["--ignored", "--exact", "another_process"]).env(FOLDER, &host.locks).stdout(Stdio::null());
    let mut other = other.spawn().unwrap();
    rounds(&host, &["vg/root", "ssd/log"]);
    assert!(other.wait().unwrap().success());
}

#[test]
#[ignore = "another test runs it as a process of its own"]
fn another_process() {
    let locks = PathBuf::from(std::env::var_os(FOLDER).expect("the folder of the locks"));
    rounds(&host_with_locks(CONVERTS, |_| locks), &["ssd/log", "vg/root"]);
}
