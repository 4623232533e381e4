//! What is thawed, and when.

use std::{fs, time::Duration};

use guest_bridge::watchdog::{Disarmed, Token, WatchdogError, probe};
use stillpoint_tests::machine::mount::Mount;

use super::{
    guest::{Guest, LATER, SOON, call, processes, text, until, watchdog, write},
    local_agent::SHELLS,
};

#[tokio::test]
async fn it_thaws_by_itself_when_its_time_has_come_and_says_so_afterwards() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, logs) = (guest.disk("data"), guest.disk("logs"));
        let token = Token::new();
        let armed = guest.arm(&token, &[&data, &logs], Duration::from_secs(2)).await;
        assert_eq!(armed.thaws, [text(&data.point), text(&logs.point)]);
        data.freeze();
        logs.freeze();
        write(&data).await;
        write(&logs).await;
        assert_eq!(guest.disarm(&token).await, Disarmed::HasThawed, "{shell}");
    }
}

#[tokio::test]
async fn a_freeze_that_comes_late_is_thawed_too() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, token) = (guest.frozen("data"), Token::new());
        let armed = guest.arm(&token, &[&data], LATER).await;
        call(watchdog(&armed));
        write(&data).await;
        data.freeze();
        write(&data).await;
        assert_eq!(guest.disarm(&token).await, Disarmed::HasThawed, "{shell}");
    }
}

#[tokio::test]
async fn disarmed_in_time_it_is_gone_and_has_thawed_nothing() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, token) = (guest.frozen("data"), Token::new());
        guest.arm(&token, &[&data], LATER).await;
        assert_eq!(guest.disarm(&token).await, Disarmed::InTime, "{shell}");
        assert_eq!(processes(token.as_str()), [0; 0], "{shell}");
        assert!(data.try_thaw(), "{shell}: it was thawed");
    }
}

#[tokio::test]
async fn it_can_be_disarmed_while_it_thaws() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, token) = (guest.frozen("data"), Token::new());
        let armed = guest.arm(&token, &[&data], LATER).await;
        let pid = watchdog(&armed);
        call(pid);
        write(&data).await;
        assert_eq!(guest.disarm(&token).await, Disarmed::HasThawed, "{shell}");
        assert_eq!(processes(token.as_str()), [0; 0], "{shell}");
        data.freeze();
        assert!(data.try_thaw(), "{shell}: nobody is left that thaws");
    }
}

#[tokio::test]
async fn one_whose_folder_is_gone_thaws_nothing() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, token) = (guest.frozen("data"), Token::new());
        let armed = guest.arm(&token, &[&data], LATER).await;
        let pid = watchdog(&armed);
        fs::remove_dir_all(armed.directory.join("armed")).unwrap();
        call(pid);
        until("its end", || processes(token.as_str()).is_empty()).await;
        assert!(data.try_thaw(), "{shell}: it was thawed");
    }
}

#[tokio::test]
async fn two_watchdogs_do_not_touch_each_other() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (one, other) = (guest.frozen("one"), guest.frozen("other"));
        let (early, late) = (Token::new(), Token::new());
        let armed = guest.arm(&early, &[&one], LATER).await;
        guest.arm(&late, &[&other], LATER).await;
        call(watchdog(&armed));
        write(&one).await;
        assert_eq!(guest.disarm(&early).await, Disarmed::HasThawed, "{shell}");
        assert!(!processes(late.as_str()).is_empty(), "{shell}");
        assert_eq!(guest.disarm(&late).await, Disarmed::InTime, "{shell}");
        assert!(other.try_thaw(), "{shell}: it was thawed");
    }
}

#[tokio::test]
async fn a_folder_in_memory_that_is_full_by_then_keeps_nothing_frozen() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, token) = (guest.frozen("data"), Token::new());
        let armed = guest.arm(&token, &[&data], LATER).await;
        fs::write(guest.memory.path("filler"), vec![0; 64 << 20]).unwrap_err();
        call(watchdog(&armed));
        write(&data).await;
        assert_eq!(guest.disarm(&token).await, Disarmed::HasThawed, "{shell}");
    }
}

#[tokio::test]
async fn a_mountpoint_that_is_not_there_keeps_no_other() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, token) = (guest.frozen("data"), Token::new());
        let gone: Mount = guest.disk("gone");
        let point = text(&gone.point).to_owned();
        drop(gone);
        let points = [point.clone(), text(&data.point).to_owned()];
        let armed = guest_bridge::watchdog::arm(&mut guest.agent, &token, &points, LATER, SOON).await;
        let armed = armed.unwrap();
        assert_eq!((armed.cannot_thaw[0].mountpoint.as_str(), armed.thaws.len()), (point.as_str(), 1), "{shell}");
        call(watchdog(&armed));
        write(&data).await;
        guest.disarm(&token).await;
    }
}

#[tokio::test]
async fn without_a_filesystem_in_memory_there_is_none_and_nothing_is_left() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let data = guest.disk("data");
        guest.agent.memory = format!("{} /nonexistent", text(&data.point));
        let error = guest.try_arm(&Token::new(), &[&data], LATER).await.unwrap_err();
        assert!(matches!(&error, WatchdogError::Impossible { reason } if reason.contains("/nonexistent")), "{error}");
        assert_eq!(fs::read_dir(&data.point).unwrap().count(), 1, "lost+found");
    }
}

#[tokio::test]
async fn a_guest_that_could_have_one_says_so_and_nothing_is_made_in_it() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let possible = probe(&mut guest.agent, SOON).await.unwrap();
        assert_eq!(possible.place, guest.memory.point, "{shell}");
        assert!(possible.fsfreeze.ends_with("fsfreeze"), "{shell}: {possible:?}");
        assert_eq!(fs::read_dir(&guest.memory.point).unwrap().count(), 0, "{shell}");
        guest.agent.memory = "/nonexistent".to_owned();
        let error = probe(&mut guest.agent, SOON).await.unwrap_err();
        assert!(matches!(&error, WatchdogError::Impossible { reason } if reason.contains("/nonexistent")), "{error}");
    }
}
