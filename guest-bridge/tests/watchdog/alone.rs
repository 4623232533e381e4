//! It depends on nothing that started it.

use std::{fs, path::Path};

use guest_bridge::watchdog::{Disarmed, Token};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    guest::{Guest, LATER, processes, stat, watchdog},
    local_agent::SHELLS,
};

#[tokio::test]
async fn it_has_a_session_of_its_own_and_has_survived_who_started_it() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, token) = (guest.disk("data"), Token::new());
        let pid = watchdog(&guest.arm(&token, &[&data], LATER).await);
        let its = stat(pid).unwrap();
        assert_eq!(its.session, pid, "{shell}");
        // Its parent was the script, whose end the agent has seen.
        assert_ne!(its.parent, i32::try_from(std::process::id()).unwrap());
        assert!(!fs::read_to_string(format!("/proc/{}/cmdline", its.parent)).unwrap().contains(token.as_str()));
        kill(Pid::from_raw(pid), Signal::SIGHUP).unwrap();
        assert_eq!(guest.disarm(&token).await, Disarmed::InTime, "{shell}: a terminal that goes away ends it");
    }
}

#[tokio::test]
async fn neither_it_nor_what_it_runs_holds_a_file_or_a_folder() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, token) = (guest.disk("data"), Token::new());
        guest.arm(&token, &[&data], LATER).await;
        let processes = processes(token.as_str());
        assert!(processes.len() >= 2, "{shell}: it, and its sleep");
        for pid in processes {
            for fd in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
                let fd = fd.unwrap();
                let held = fs::read_link(fd.path()).unwrap();
                // What this program was started with, its children have, too.
                let inherited =
                    fs::read_link(Path::new("/proc/self/fd").join(fd.file_name())).is_ok_and(|own| own == held);
                assert!(held == Path::new("/dev/null") || inherited, "{shell}: {:?} is {held:?}", fd.path());
            }
            assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/"));
        }
        assert_eq!(guest.disarm(&token).await, Disarmed::InTime, "{shell}");
    }
}
