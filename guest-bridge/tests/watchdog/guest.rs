//! What stands for a guest: a shell, a folder in memory, and filesystems to freeze.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use guest_bridge::watchdog::{Armed, Disarmed, Token, WatchdogError, arm, disarm};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use stillpoint_tests::machine::{ext4, image::Images, mount::Mount, program::run};

use super::local_agent::LocalAgent;

pub const SOON: Duration = Duration::from_secs(30);
/// Never, in a test.
pub const LATER: Duration = Duration::from_secs(100_000);
/// What is waited for, and then is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Guest {
    pub agent: LocalAgent,
    // Before the folder in memory: what runs from there would keep it mounted.
    _watchdogs: Watchdogs,
    pub memory: Mount,
    images: Images,
}

impl Guest {
    pub fn new(shell: &'static str) -> Self {
        let (memory, images) = (Mount::tmpfs("64m"), Images::new());
        let mut agent = LocalAgent::new(shell, images.path("").as_path());
        agent.memory = memory.point.to_str().unwrap().to_owned();
        Self { agent, _watchdogs: Watchdogs(memory.point.clone()), memory, images }
    }

    /// A filesystem of its own.
    pub fn disk(&self, name: &str) -> Mount {
        let image = self.images.path(name);
        ext4::make(&image, 16, &["-t", "ext4"]);
        Mount::image(&image, "rw")
    }

    /// The same, frozen.
    pub fn frozen(&self, name: &str) -> Mount {
        let disk = self.disk(name);
        disk.freeze();
        disk
    }

    pub async fn try_arm(&mut self, token: &Token, disks: &[&Mount], after: Duration) -> Result<Armed, WatchdogError> {
        let points: Vec<String> = disks.iter().map(|disk| disk.point.to_str().unwrap().to_owned()).collect();
        arm(&mut self.agent, token, &points, after, SOON).await
    }

    pub async fn arm(&mut self, token: &Token, disks: &[&Mount], after: Duration) -> Armed {
        self.try_arm(token, disks, after).await.unwrap()
    }

    pub async fn disarm(&mut self, token: &Token) -> Disarmed {
        disarm(&mut self.agent, token, SOON).await.unwrap()
    }

    /// No programs can be run from the folder in memory any more.
    pub fn forbid_programs(&self) {
        run("mount", &["-o".as_ref(), "remount,noexec".as_ref(), self.memory.point.as_os_str()]);
    }
}

/// Ends what a test that failed has left.
struct Watchdogs(PathBuf);

impl Drop for Watchdogs {
    fn drop(&mut self) {
        for folder in fs::read_dir(&self.0).unwrap() {
            for pid in processes(folder.unwrap().file_name().to_str().unwrap()) {
                kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
            }
        }
    }
}

/// The process that a watchdog says is its own.
pub fn watchdog(armed: &Armed) -> i32 {
    fs::read_to_string(armed.directory.join("armed/pid")).unwrap().trim().parse().unwrap()
}

/// The wait is over for it: whoever ended it, time or a signal.
pub fn call(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
}

/// The processes that have this text among their arguments, and those in sessions of theirs.
pub fn processes(text: &str) -> Vec<i32> {
    let all = || fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let named = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(text));
    let leaders: Vec<i32> = all().filter(named).collect();
    let in_session = |pid: &i32| stat(*pid).is_some_and(|stat| stat.state != "Z" && leaders.contains(&stat.session));
    all().filter(|pid| leaders.contains(pid) || in_session(pid)).collect()
}

pub struct Stat {
    pub state: String,
    pub parent: i32,
    pub session: i32,
}

/// `proc_pid_stat(5)`; `None` where there is no such process.
pub fn stat(pid: i32) -> Option<Stat> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = line.rsplit_once(") ")?.1.split(' ').collect();
    let number = |field: usize| fields[field].parse().ok();
    Some(Stat { state: fields[0].to_owned(), parent: number(1)?, session: number(3)? })
}

pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Writes into the filesystem, which takes until it is thawed.
pub async fn write(disk: &Mount) {
    let mut writer = std::process::Command::new("touch").arg(disk.path("written")).spawn().unwrap();
    until("a write", || writer.try_wait().unwrap().is_some()).await;
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
