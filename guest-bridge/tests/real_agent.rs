//! The agent's commands against a real qemu-ga, with a filesystem of its own to freeze.
//!
//! Needs root and Debian's qemu-guest-agent, e2fsprogs, util-linux and mount. The agent runs on *this* machine: only the
//! test's own loop mount is ever frozen, by name. `FreezeScope::All` would freeze the machine for good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, SystemTime},
};

use guest_bridge::{
    agent::{
        AgentError, Endpoint, Exit, FreezeScope, FreezeStatus, Mountpoints, Program, QgaTransport, exec, exec_status,
        freeze, freeze_status, fsinfo, info, ping, read_file, run, thaw, thaw_until_sure, time,
    },
    watchdog::{Disarmed, Token, WatchdogError, arm, disarm, probe},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use stillpoint_tests::machine::{
    agent::PrivateAgent,
    alone::{Alone, alone},
    ext4,
    image::Images,
    mount::Mount,
};
use tokio::time::sleep;

/// Long enough for an answer that comes.
const PLENTY: Duration = Duration::from_secs(30);
/// Never, in a test.
const LATER: Duration = Duration::from_secs(600);
/// Long enough to send and not be answered.
const SHORT: Duration = Duration::from_millis(500);

/// A filesystem to freeze, and an agent that sees it.
///
/// Alone on this machine: a thaw thaws, and counts, every filesystem that the agent can see, also another test's.
struct Guest {
    // In this order: the filesystem is thawed before anything else ends.
    mount: Mount,
    agent: PrivateAgent,
    _images: Images,
    _alone: Alone,
}

impl Guest {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(options: &[&str]) -> Self {
        let (alone, images) = (alone(), Images::new());
        let image = images.path("image");
        ext4::make(&image, 32, &["-t", "ext4"]);
        let mount = alone.mount(&image, "rw");
        let guest = Self { mount, agent: PrivateAgent::start(options), _images: images, _alone: alone };
        ping(&mut guest.transport(), PLENTY).await.unwrap();
        guest
    }

    fn transport(&self) -> QgaTransport {
        QgaTransport::new(Endpoint::Unix(self.agent.socket()))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.agent.pid().try_into().unwrap()), signal).unwrap();
    }

    fn mountpoint(&self) -> String {
        self.mount.point.to_str().unwrap().to_owned()
    }

    fn scope(&self) -> FreezeScope {
        FreezeScope::Mountpoints(Mountpoints::new(vec![self.mountpoint()]).unwrap())
    }

    /// Arms a watchdog of its filesystem.
    async fn arm(&self, agent: &mut QgaTransport, after: Duration) -> Watchdog {
        let token = Token::new();
        let armed = arm(agent, &token, &[self.mountpoint()], after, PLENTY).await.unwrap();
        assert_eq!((&armed.thaws, &armed.cannot_thaw), (&vec![self.mountpoint()], &vec![]));
        Watchdog { token, directory: armed.directory }
    }

    /// A program that writes into the filesystem, and so waits while it is frozen.
    fn writer(&self) -> Child {
        Command::new("mkdir").arg(self.mount.path("written")).spawn().unwrap()
    }
}

/// Its folder is on this machine, and goes with the value.
struct Watchdog {
    token: Token,
    directory: PathBuf,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Without it, it does nothing.
        fs::remove_dir_all(&self.directory).ok();
    }
}

#[tokio::test]
async fn a_freeze_stops_writers_until_the_thaw() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    assert_eq!(freeze(&mut agent, &guest.scope(), PLENTY).await.unwrap(), 1);
    assert_eq!(freeze_status(&mut agent, PLENTY).await.unwrap(), FreezeStatus::Frozen);

    let mut writer = guest.writer();
    sleep(SHORT).await;
    assert!(writer.try_wait().unwrap().is_none(), "a write got through the freeze");

    let thawed = thaw_until_sure(&mut agent, PLENTY, &mut || false).await.unwrap();
    assert_eq!((thawed.count, thawed.attempts), (Some(1), 1));
    assert!(writer.wait().unwrap().success());
}

#[tokio::test]
async fn a_frozen_agent_refuses_all_but_six_commands() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    assert!(info(&mut agent, PLENTY).await.unwrap().missing(&["guest-exec", "guest-get-fsinfo"]).is_empty());
    freeze(&mut agent, &guest.scope(), PLENTY).await.unwrap();

    ping(&mut agent, PLENTY).await.unwrap();
    let six = ["ping", "info", "sync", "sync-delimited", "fsfreeze-status", "fsfreeze-thaw"];
    let six: BTreeSet<String> = six.iter().map(|name| format!("guest-{name}")).collect();
    assert_eq!(info(&mut agent, PLENTY).await.unwrap().supported, six);
    let program = Program::new("/bin/true", [""; 0]);
    assert!(matches!(exec(&mut agent, &program, PLENTY).await, Err(AgentError::Frozen { .. })));
    assert!(matches!(fsinfo(&mut agent, PLENTY).await, Err(AgentError::Frozen { .. })));
    let again = freeze(&mut agent, &guest.scope(), PLENTY).await;
    assert!(matches!(again, Err(AgentError::Frozen { .. })));

    assert_eq!(thaw(&mut agent, PLENTY).await.unwrap(), 1);
    assert!(run(&mut agent, &program, PLENTY).await.unwrap().success());
}

#[tokio::test]
async fn a_mountpoint_that_is_not_there_freezes_nothing_and_is_a_success() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    let nowhere = FreezeScope::Mountpoints(Mountpoints::new(vec!["/nonexistent".into()]).unwrap());
    assert_eq!(freeze(&mut agent, &nowhere, PLENTY).await.unwrap(), 0);
    assert_eq!(freeze_status(&mut agent, PLENTY).await.unwrap(), FreezeStatus::Thawed);
}

#[tokio::test]
async fn a_freeze_outlives_the_client_that_asked_for_it() {
    let guest = Guest::start().await;
    let mut gone = guest.transport();
    freeze(&mut gone, &guest.scope(), PLENTY).await.unwrap();
    drop(gone);

    let mut next = guest.transport();
    assert_eq!(freeze_status(&mut next, PLENTY).await.unwrap(), FreezeStatus::Frozen);
    assert_eq!(thaw_until_sure(&mut next, PLENTY, &mut || false).await.unwrap().count, Some(1));
    assert!(!guest.mount.try_thaw(), "the kernel still held it frozen");
}

#[tokio::test]
async fn a_thaw_behind_the_agents_back_shows_in_the_count() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    assert_eq!(freeze(&mut agent, &guest.scope(), PLENTY).await.unwrap(), 1);
    assert!(guest.mount.try_thaw());
    assert_eq!(freeze_status(&mut agent, PLENTY).await.unwrap(), FreezeStatus::Frozen);
    assert_eq!(thaw_until_sure(&mut agent, PLENTY, &mut || false).await.unwrap().count, Some(0));
}

#[tokio::test]
async fn a_freeze_that_timed_out_and_came_late_is_thawed() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    ping(&mut agent, PLENTY).await.unwrap();

    guest.signal(Signal::SIGSTOP);
    let error = freeze(&mut agent, &guest.scope(), SHORT).await.unwrap_err();
    assert!(matches!(error, AgentError::Timeout { .. }) && error.may_have_executed(), "{error}");
    guest.signal(Signal::SIGCONT);

    assert_eq!(
        thaw_until_sure(&mut agent, PLENTY, &mut || false).await.unwrap().count,
        Some(1),
        "the freeze came late"
    );
    assert!(!guest.mount.try_thaw(), "the kernel still held it frozen");
}

#[tokio::test]
async fn a_guest_that_cannot_be_thawed_in_time_may_be_frozen() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    freeze(&mut agent, &guest.scope(), PLENTY).await.unwrap();
    guest.signal(Signal::SIGSTOP);
    let error = thaw_until_sure(&mut agent, SHORT, &mut || false).await.unwrap_err();
    guest.signal(Signal::SIGCONT);
    assert!(matches!(error, AgentError::MaybeFrozen { .. }), "{error}");
}

#[tokio::test]
async fn a_late_reply_does_not_answer_the_next_command() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    ping(&mut agent, PLENTY).await.unwrap();
    guest.signal(Signal::SIGSTOP);
    assert!(matches!(fsinfo(&mut agent, SHORT).await, Err(AgentError::Timeout { .. })));
    guest.signal(Signal::SIGCONT);
    assert_eq!(freeze_status(&mut agent, PLENTY).await.unwrap(), FreezeStatus::Thawed);
}

#[tokio::test]
async fn a_half_request_of_an_earlier_client_does_no_harm() {
    let guest = Guest::start().await;
    UnixStream::connect(guest.agent.socket()).unwrap().write_all(b"{\"execute\": \"guest-pi").unwrap();
    ping(&mut guest.transport(), PLENTY).await.unwrap();
}

#[tokio::test]
async fn a_second_client_is_told_that_another_may_hold_the_channel() {
    let guest = Guest::start().await;
    let mut first = guest.transport();
    ping(&mut first, PLENTY).await.unwrap();
    let mut second = guest.transport();
    let error = ping(&mut second, SHORT).await.unwrap_err();
    assert!(error.hint().unwrap().contains("another client may be holding"), "{error}");
    drop(first);
    ping(&mut second, PLENTY).await.unwrap();
}

#[tokio::test]
async fn a_blocked_command_is_named_before_and_after_it_is_tried() {
    let guest = Guest::start_with(&["-b", "guest-exec,guest-exec-status"]).await;
    let mut agent = guest.transport();
    let agent_info = info(&mut agent, PLENTY).await.unwrap();
    assert_eq!(agent_info.missing(&["guest-fsfreeze-freeze", "guest-exec"]), ["guest-exec"]);
    let error = exec(&mut agent, &Program::new("/bin/true", [""; 0]), PLENTY).await.unwrap_err();
    assert!(matches!(error, AgentError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_filesystem_is_listed_with_its_mountpoint_and_type() {
    let guest = Guest::start().await;
    let filesystems = fsinfo(&mut guest.transport(), PLENTY).await.unwrap();
    let ours = filesystems.iter().find(|filesystem| filesystem.mountpoint == guest.mountpoint()).unwrap();
    assert_eq!(ours.fs_type, "ext4");
}

#[tokio::test]
async fn a_program_gets_its_arguments_as_they_are_and_returns_what_it_printed() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
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
    let mut agent = guest.transport();
    let error = run(&mut agent, &Program::new("/nonexistent", [""; 0]), PLENTY).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent"), "{error}");
    let killed = run(&mut agent, &Program::new("/bin/sh", ["-c", "kill -9 $$"]), PLENTY).await.unwrap();
    assert_eq!(killed.exit, Exit::Signal(9));
}

#[tokio::test]
async fn the_end_of_a_program_is_told_once() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
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
    let mut agent = guest.transport();
    let error = run(&mut agent, &Program::new("/bin/sleep", ["600"]), SHORT).await.unwrap_err();
    let AgentError::StillRunning { pid, .. } = error else { panic!("{error}") };
    kill(Pid::from_raw(pid.0.try_into().unwrap()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn what_the_agent_can_hold_arrives_whole_and_more_is_an_error() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    let print = |bytes: usize| Program::new("/usr/bin/head", ["-c", &bytes.to_string(), "/dev/zero"]);
    let whole = run(&mut agent, &print(16 << 20), PLENTY).await.unwrap();
    assert_eq!(whole.stdout.len(), 16 << 20);
    let error = run(&mut agent, &print(20 << 20), PLENTY).await.unwrap_err();
    assert!(matches!(error, AgentError::OutputTruncated { stream: "stdout", .. }), "{error}");
}

#[tokio::test]
async fn a_regular_file_is_read_whole_within_its_bound() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    let path = guest.mount.path("file");
    let content: Vec<u8> = (0..3_000_001_u32).map(|i| (i % 251) as u8).collect();
    fs::write(&path, &content).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(read_file(&mut agent, path, content.len(), PLENTY).await.unwrap(), content);
    let error = read_file(&mut agent, path, content.len() - 1, PLENTY).await.unwrap_err();
    assert!(matches!(error, AgentError::FileTooLong { .. }), "{error}");
    let error = read_file(&mut agent, "/nonexistent", 1, PLENTY).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent"), "{error}");
}

#[tokio::test]
async fn a_watchdog_thaws_while_the_agent_believes_it_is_frozen() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    let watchdog = guest.arm(&mut agent, Duration::from_secs(2)).await;
    assert_eq!(freeze(&mut agent, &guest.scope(), PLENTY).await.unwrap(), 1);
    assert!(guest.writer().wait().unwrap().success());

    assert_eq!(freeze_status(&mut agent, PLENTY).await.unwrap(), FreezeStatus::Frozen);
    let refused = disarm(&mut agent, &watchdog.token, PLENTY).await;
    assert!(matches!(refused, Err(WatchdogError::Agent(AgentError::Frozen { .. }))), "{refused:?}");
    assert_eq!(thaw_until_sure(&mut agent, PLENTY, &mut || false).await.unwrap().count, Some(0));
    assert_eq!(disarm(&mut agent, &watchdog.token, PLENTY).await.unwrap(), Disarmed::HasThawed);
}

#[tokio::test]
async fn a_watchdog_that_is_disarmed_after_the_thaw_has_done_nothing() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    let watchdog = guest.arm(&mut agent, LATER).await;
    freeze(&mut agent, &guest.scope(), PLENTY).await.unwrap();
    assert_eq!(thaw_until_sure(&mut agent, PLENTY, &mut || false).await.unwrap().count, Some(1));
    assert_eq!(disarm(&mut agent, &watchdog.token, PLENTY).await.unwrap(), Disarmed::InTime);
}

#[tokio::test]
async fn a_watchdog_outlives_the_agent_and_holds_nothing_of_it() {
    let mut guest = Guest::start().await;
    let watchdog = guest.arm(&mut guest.transport(), LATER).await;
    let pid = fs::read_to_string(watchdog.directory.join("armed/pid")).unwrap();
    let open = |number: &str| fs::read_link(format!("/proc/{}/fd/{number}", pid.trim()));
    assert_eq!([open("0"), open("1"), open("2")].map(Result::unwrap), ["/dev/null"; 3].map(PathBuf::from));
    guest.agent = PrivateAgent::start(&[]);
    assert_eq!(disarm(&mut guest.transport(), &watchdog.token, PLENTY).await.unwrap(), Disarmed::InTime);
}

#[tokio::test]
async fn where_no_program_may_be_started_no_watchdog_is_armed() {
    let guest = Guest::start_with(&["-b", "guest-exec"]).await;
    let error = arm(&mut guest.transport(), &Token::new(), &[guest.mountpoint()], LATER, PLENTY).await.unwrap_err();
    assert!(matches!(error, WatchdogError::Agent(AgentError::Unavailable { .. })), "{error}");
    assert!(error.hint().unwrap().contains("guest-exec"));
}

#[tokio::test]
async fn it_tells_its_time_and_whether_a_watchdog_could_be_armed() {
    let guest = Guest::start().await;
    let mut agent = guest.transport();
    let now = || i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap();
    let before = now();
    let told = time(&mut agent, PLENTY).await.unwrap();
    // It is this machine's own clock, in nanoseconds.
    assert!((before..=now()).contains(&told), "{before} {told}");
    let possible = probe(&mut agent, PLENTY).await.unwrap();
    assert!(possible.fsfreeze.ends_with("fsfreeze"), "{possible:?}");
}
