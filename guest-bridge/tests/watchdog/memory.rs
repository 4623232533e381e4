//! It needs nothing of a disk.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use guest_bridge::watchdog::{Disarmed, Programs, Token};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use stillpoint_tests::machine::program::try_run;

use super::{
    guest::{Guest, LATER, call, text, until, watchdog, write},
    local_agent::SHELLS,
};

#[tokio::test]
async fn once_armed_it_opens_nothing_but_what_is_in_memory_and_what_it_thaws() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("not run: there is no strace");
        return;
    }
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, token) = (guest.frozen("data"), Token::new());
        let armed = guest.arm(&token, &[&data], LATER).await;
        assert_eq!(armed.programs, Programs::InMemory, "{shell}");
        let pid = watchdog(&armed);
        let trace = guest.memory.path("trace");
        let mut strace = Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=execve,execveat,open,openat,creat", "-o", text(&trace), "-p"])
            .arg(pid.to_string())
            .spawn()
            .unwrap();
        let traced = format!("/proc/{pid}/status");
        until("the trace", || !fs::read_to_string(&traced).unwrap().contains("TracerPid:\t0\n")).await;
        call(pid);
        write(&data).await;
        // The next round has begun, so all that the first one opened is there.
        let starts = |line: &&str| line.contains("execve(") && line.contains("fsfreeze");
        let rounds = || fs::read_to_string(&trace).unwrap().lines().filter(starts).count();
        until("a second round", || rounds() > 1).await;
        let opened = fs::read_to_string(&trace).unwrap();
        detach(&mut strace);
        assert_eq!(guest.disarm(&token).await, Disarmed::HasThawed, "{shell}");

        let ours = [text(&armed.directory), text(&data.point), "/dev/null"];
        for line in opened.lines().filter(|line| line.contains('"')) {
            let path = line.split('"').nth(1).unwrap();
            assert!(ours.iter().any(|our| path.starts_with(our)), "{shell}: {line}");
        }
    }
}

fn detach(strace: &mut Child) {
    kill(Pid::from_raw(strace.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    strace.wait().unwrap();
}

#[tokio::test]
async fn where_no_program_can_be_run_from_memory_it_runs_the_guests_own_and_says_so() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        guest.forbid_programs();
        let (data, token) = (guest.frozen("data"), Token::new());
        let armed = guest.arm(&token, &[&data], LATER).await;
        assert_eq!(armed.programs, Programs::InPageCache, "{shell}");
        assert!(!armed.directory.join("programs").exists(), "{shell}");
        call(watchdog(&armed));
        write(&data).await;
        assert_eq!(guest.disarm(&token).await, Disarmed::HasThawed, "{shell}");
    }
}

#[tokio::test]
async fn of_two_places_the_one_that_runs_programs_is_taken() {
    for shell in SHELLS {
        let (mut guest, other) = (Guest::new(shell), Guest::new(shell));
        guest.forbid_programs();
        guest.agent.memory = format!("{} {}", text(&guest.memory.point), text(&other.memory.point));
        let (data, token) = (guest.disk("data"), Token::new());
        let armed = guest.arm(&token, &[&data], LATER).await;
        assert_eq!((armed.directory.parent().unwrap(), armed.programs), (&*other.memory.point, Programs::InMemory));
        assert_eq!(guest.disarm(&token).await, Disarmed::InTime, "{shell}");
    }
}

#[tokio::test]
async fn what_is_kept_to_be_asked_again_is_kept_for_a_day() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let data = guest.disk("data");
        let (old, new, forgotten) = (Token::new(), Token::new(), Token::new());
        for token in [&old, &new, &forgotten] {
            guest.arm(token, &[&data], LATER).await;
        }
        guest.disarm(&old).await;
        guest.disarm(&new).await;
        for token in [&old, &forgotten] {
            let folder = guest.memory.path(token.as_str());
            assert!(try_run("touch", &["-d", "2 days ago", text(&folder)]).status.success());
        }
        let last = Token::new();
        guest.arm(&last, &[&data], LATER).await;
        let there = [&old, &new, &forgotten].map(|token| guest.memory.path(token.as_str()).exists());
        assert_eq!(there, [false, true, true], "{shell}: the last one is armed");
        for token in [&forgotten, &last] {
            assert_eq!(guest.disarm(token).await, Disarmed::InTime, "{shell}");
        }
    }
}
