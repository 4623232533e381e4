//! The agent's commands against a real qemu-ga, with a filesystem of its own to freeze.
//!
//! Needs root and Debian's qemu-guest-agent, e2fsprogs, util-linux and mount. The agent runs on *this* machine: only the
//! test's own loop mount is ever frozen, by name. `FreezeScope::All` would freeze the machine for good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use guest_bridge::agent::{
    AgentError, Endpoint, Exit, FreezeScope, FreezeStatus, Mountpoints, Program, QgaTransport, exec, exec_status,
    freeze, freeze_status, fsinfo, info, ping, read_file, run, thaw, thaw_until_sure,
};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::time::sleep;

/// Long enough for an answer that comes.
const PLENTY: Duration = Duration::from_secs(30);
/// Long enough to send and not be answered.
const SHORT: Duration = Duration::from_millis(500);

/// A mounted ext4 that is thawed and unmounted at the end, also of a test that failed.
struct Mount {
    at: PathBuf,
    dir: TempDir,
}

impl Mount {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (image, at) = (dir.path().join("image"), dir.path().join("mnt"));
        File::create(&image).unwrap().set_len(32 << 20).unwrap();
        fs::create_dir(&at).unwrap();
        must_run(Command::new("mkfs.ext4").arg("-q").arg(&image));
        must_run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at));
        Self { at, dir }
    }

    fn path(&self) -> String {
        self.at.to_str().unwrap().to_owned()
    }

    fn scope(&self) -> FreezeScope {
        FreezeScope::Mountpoints(Mountpoints::new(vec![self.path()]).unwrap())
    }

    fn unfreeze(&self) -> bool {
        Command::new("fsfreeze").arg("-u").arg(&self.at).stderr(Stdio::null()).status().unwrap().success()
    }

    /// A program that writes into the filesystem, and so waits while it is frozen.
    fn writer(&self) -> Child {
        Command::new("mkdir").arg(self.at.join("written")).spawn().unwrap()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Fails where nothing is frozen, which is what a test should leave.
        self.unfreeze();
        // Detaches the loop device too. Lazy, because a writer that was stuck may not have ended yet.
        let unmounted = Command::new("umount").arg("-l").arg(&self.at).status().is_ok_and(|status| status.success());
        if !unmounted && !std::thread::panicking() {
            panic!("{} is still mounted", self.at.display());
        }
    }
}

/// A running qemu-ga, ended at the end of the test.
struct RealAgent {
    process: Child,
    socket: PathBuf,
}

impl RealAgent {
    async fn start(dir: &Path, options: &[&str]) -> Self {
        let socket = dir.join("qga.sock");
        let mut command = Command::new("/usr/sbin/qemu-ga");
        command.args(["-m", "unix-listen", "-p"]).arg(&socket).arg("-t").arg(dir).arg("-f").arg(dir.join("pid"));
        let process = command.args(options).stderr(Stdio::null()).spawn().expect("cannot start /usr/sbin/qemu-ga");
        let agent = Self { process, socket };
        for _ in 0..100 {
            // The socket is there a moment before anybody listens on it.
            if ping(&mut agent.transport(), PLENTY).await.is_ok() {
                return agent;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("qemu-ga does not answer");
    }

    fn transport(&self) -> QgaTransport {
        QgaTransport::new(Endpoint::Unix(self.socket.clone()))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for RealAgent {
    fn drop(&mut self) {
        // SIGKILL: a frozen agent ignores SIGTERM.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Declared in this order, so that the filesystem is thawed before anything else ends.
struct Guest {
    mount: Mount,
    agent: RealAgent,
    _alone: Flock<File>,
}

impl Guest {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One at a time on this machine: a thaw thaws, and counts, every filesystem that the agent can see, also another
    /// test's.
    async fn start_with(options: &[&str]) -> Self {
        let lock = File::create(std::env::temp_dir().join("stillpoint-real-agent.lock")).unwrap();
        let alone = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
        let mount = Mount::new();
        let agent = RealAgent::start(mount.dir.path(), options).await;
        Self { mount, agent, _alone: alone }
    }
}

fn must_run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

#[tokio::test]
async fn a_freeze_stops_writers_until_the_thaw() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    assert_eq!(freeze(&mut agent, &guest.mount.scope(), PLENTY).await.unwrap(), 1);
    assert_eq!(freeze_status(&mut agent, PLENTY).await.unwrap(), FreezeStatus::Frozen);

    let mut writer = guest.mount.writer();
    sleep(SHORT).await;
    assert!(writer.try_wait().unwrap().is_none(), "a write got through the freeze");

    let thawed = thaw_until_sure(&mut agent, PLENTY).await.unwrap();
    assert_eq!((thawed.count, thawed.attempts), (Some(1), 1));
    assert!(writer.wait().unwrap().success());
}

#[tokio::test]
async fn a_frozen_agent_refuses_all_but_six_commands() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    assert!(info(&mut agent, PLENTY).await.unwrap().missing(&["guest-exec", "guest-get-fsinfo"]).is_empty());
    freeze(&mut agent, &guest.mount.scope(), PLENTY).await.unwrap();

    ping(&mut agent, PLENTY).await.unwrap();
    let six = ["ping", "info", "sync", "sync-delimited", "fsfreeze-status", "fsfreeze-thaw"];
    let six: BTreeSet<String> = six.iter().map(|name| format!("guest-{name}")).collect();
    assert_eq!(info(&mut agent, PLENTY).await.unwrap().supported, six);
    let program = Program::new("/bin/true", [""; 0]);
    assert!(matches!(exec(&mut agent, &program, PLENTY).await, Err(AgentError::Frozen { .. })));
    assert!(matches!(fsinfo(&mut agent, PLENTY).await, Err(AgentError::Frozen { .. })));
    let again = freeze(&mut agent, &guest.mount.scope(), PLENTY).await;
    assert!(matches!(again, Err(AgentError::Frozen { .. })));

    assert_eq!(thaw(&mut agent, PLENTY).await.unwrap(), 1);
    assert!(run(&mut agent, &program, PLENTY).await.unwrap().success());
}

#[tokio::test]
async fn a_mountpoint_that_is_not_there_freezes_nothing_and_is_a_success() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    let nowhere = FreezeScope::Mountpoints(Mountpoints::new(vec!["/nonexistent".into()]).unwrap());
    assert_eq!(freeze(&mut agent, &nowhere, PLENTY).await.unwrap(), 0);
    assert_eq!(freeze_status(&mut agent, PLENTY).await.unwrap(), FreezeStatus::Thawed);
}

#[tokio::test]
async fn a_freeze_outlives_the_client_that_asked_for_it() {
    let guest = Guest::start().await;
    let mut gone = guest.agent.transport();
    freeze(&mut gone, &guest.mount.scope(), PLENTY).await.unwrap();
    drop(gone);

    let mut next = guest.agent.transport();
    assert_eq!(freeze_status(&mut next, PLENTY).await.unwrap(), FreezeStatus::Frozen);
    assert_eq!(thaw_until_sure(&mut next, PLENTY).await.unwrap().count, Some(1));
    assert!(!guest.mount.unfreeze(), "the kernel still held it frozen");
}

#[tokio::test]
async fn a_thaw_behind_the_agents_back_shows_in_the_count() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    assert_eq!(freeze(&mut agent, &guest.mount.scope(), PLENTY).await.unwrap(), 1);
    assert!(guest.mount.unfreeze());
    assert_eq!(freeze_status(&mut agent, PLENTY).await.unwrap(), FreezeStatus::Frozen);
    assert_eq!(thaw_until_sure(&mut agent, PLENTY).await.unwrap().count, Some(0));
}

#[tokio::test]
async fn a_freeze_that_timed_out_and_came_late_is_thawed() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    ping(&mut agent, PLENTY).await.unwrap();

    guest.agent.signal(Signal::SIGSTOP);
    let error = freeze(&mut agent, &guest.mount.scope(), SHORT).await.unwrap_err();
    assert!(matches!(error, AgentError::Timeout { .. }) && error.may_have_executed(), "{error}");
    guest.agent.signal(Signal::SIGCONT);

    assert_eq!(thaw_until_sure(&mut agent, PLENTY).await.unwrap().count, Some(1), "the freeze came late");
    assert!(!guest.mount.unfreeze(), "the kernel still held it frozen");
}

#[tokio::test]
async fn a_guest_that_cannot_be_thawed_in_time_may_be_frozen() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    freeze(&mut agent, &guest.mount.scope(), PLENTY).await.unwrap();
    guest.agent.signal(Signal::SIGSTOP);
    let error = thaw_until_sure(&mut agent, SHORT).await.unwrap_err();
    guest.agent.signal(Signal::SIGCONT);
    assert!(matches!(error, AgentError::MaybeFrozen { .. }), "{error}");
}

#[tokio::test]
async fn a_late_reply_does_not_answer_the_next_command() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    ping(&mut agent, PLENTY).await.unwrap();
    guest.agent.signal(Signal::SIGSTOP);
    assert!(matches!(fsinfo(&mut agent, SHORT).await, Err(AgentError::Timeout { .. })));
    guest.agent.signal(Signal::SIGCONT);
    assert_eq!(freeze_status(&mut agent, PLENTY).await.unwrap(), FreezeStatus::Thawed);
}

#[tokio::test]
async fn a_half_request_of_an_earlier_client_does_no_harm() {
    let guest = Guest::start().await;
    UnixStream::connect(&guest.agent.socket).unwrap().write_all(b"{\"execute\": \"guest-pi").unwrap();
    ping(&mut guest.agent.transport(), PLENTY).await.unwrap();
}

#[tokio::test]
async fn a_second_client_is_told_that_another_may_hold_the_channel() {
    let guest = Guest::start().await;
    let mut first = guest.agent.transport();
    ping(&mut first, PLENTY).await.unwrap();
    let mut second = guest.agent.transport();
    let error = ping(&mut second, SHORT).await.unwrap_err();
    assert!(error.hint().unwrap().contains("another client may be holding"), "{error}");
    drop(first);
    ping(&mut second, PLENTY).await.unwrap();
}

#[tokio::test]
async fn a_blocked_command_is_named_before_and_after_it_is_tried() {
    let guest = Guest::start_with(&["-b", "guest-exec,guest-exec-status"]).await;
    let mut agent = guest.agent.transport();
    let agent_info = info(&mut agent, PLENTY).await.unwrap();
    assert_eq!(agent_info.missing(&["guest-fsfreeze-freeze", "guest-exec"]), ["guest-exec"]);
    let error = exec(&mut agent, &Program::new("/bin/true", [""; 0]), PLENTY).await.unwrap_err();
    assert!(matches!(error, AgentError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_filesystem_is_listed_with_its_mountpoint_and_type() {
    let guest = Guest::start().await;
    let filesystems = fsinfo(&mut guest.agent.transport(), PLENTY).await.unwrap();
    let ours = filesystems.iter().find(|filesystem| filesystem.mountpoint == guest.mount.path()).unwrap();
    assert_eq!(ours.fs_type, "ext4");
}

#[tokio::test]
async fn a_program_gets_its_arguments_as_they_are_and_returns_what_it_printed() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    let script = "cat; printf '%s|' \"$@\" >&2; exit 7";
    let program = Program::new("/bin/sh", ["-c", script, "sh", "$(id); 'a b'\" *", ""]).with_input(*b"\0\xFFin\n");
    let finished = run(&mut agent, &program, PLENTY).await.unwrap();
    assert_eq!(finished.exit, Exit::Code(7));
    assert_eq!(finished.stdout, b"\0\xFFin\n");
    assert_eq!(finished.stderr, b"$(id); 'a b'\" *||");
}

#[tokio::test]
async fn a_program_that_is_not_there_or_is_killed_says_so() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    let error = run(&mut agent, &Program::new("/nonexistent", [""; 0]), PLENTY).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent"), "{error}");
    let killed = run(&mut agent, &Program::new("/bin/sh", ["-c", "kill -9 $$"]), PLENTY).await.unwrap();
    assert_eq!(killed.exit, Exit::Signal(9));
}

#[tokio::test]
async fn the_end_of_a_program_is_told_once() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    let pid = exec(&mut agent, &Program::new("/bin/echo", ["hello"]), PLENTY).await.unwrap();
    let finished = loop {
        if let Some(finished) = exec_status(&mut agent, pid, PLENTY).await.unwrap() {
            break finished;
        }
        sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(finished.stdout, b"hello\n");
    assert!(matches!(exec_status(&mut agent, pid, PLENTY).await, Err(AgentError::Failed { .. })));
}

#[tokio::test]
async fn a_program_that_does_not_end_is_named_with_its_process() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    let error = run(&mut agent, &Program::new("/bin/sleep", ["600"]), SHORT).await.unwrap_err();
    let AgentError::StillRunning { pid, .. } = error else { panic!("{error}") };
    kill(Pid::from_raw(pid.0.try_into().unwrap()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn what_the_agent_can_hold_arrives_whole_and_more_is_an_error() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    let print = |bytes: usize| Program::new("/usr/bin/head", ["-c", &bytes.to_string(), "/dev/zero"]);
    let whole = run(&mut agent, &print(16 << 20), PLENTY).await.unwrap();
    assert_eq!(whole.stdout.len(), 16 << 20);
    let error = run(&mut agent, &print(20 << 20), PLENTY).await.unwrap_err();
    assert!(matches!(error, AgentError::OutputTruncated { stream: "stdout", .. }), "{error}");
}

#[tokio::test]
async fn a_regular_file_is_read_whole_within_its_bound() {
    let guest = Guest::start().await;
    let mut agent = guest.agent.transport();
    let path = guest.mount.at.join("file");
    let content: Vec<u8> = (0..3_000_001_u32).map(|i| (i % 251) as u8).collect();
    fs::write(&path, &content).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(read_file(&mut agent, path, content.len(), PLENTY).await.unwrap(), content);
    let error = read_file(&mut agent, path, content.len() - 1, PLENTY).await.unwrap_err();
    assert!(matches!(error, AgentError::FileTooLong { .. }), "{error}");
    let error = read_file(&mut agent, "/nonexistent", 1, PLENTY).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent"), "{error}");
}
