//! Which comes first, and asking again.

use guest_bridge::watchdog::{Disarmed, Token, WatchdogError};

use super::{
    guest::{Guest, LATER, call, processes, until, watchdog},
    local_agent::SHELLS,
};

#[tokio::test]
async fn what_was_never_armed_is_not_there_and_cannot_be_armed_any_more() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, token) = (guest.disk("data"), Token::new());
        assert_eq!(guest.disarm(&token).await, Disarmed::NotThere, "{shell}");
        let late = guest.try_arm(&token, &[&data], LATER).await;
        assert!(matches!(late, Err(WatchdogError::UsedUp)), "{shell}: {late:?}");
        assert_eq!(processes(token.as_str()), [0; 0], "{shell}");
        assert_eq!(guest.disarm(&token).await, Disarmed::NotThere, "{shell}");
    }
}

#[tokio::test]
async fn asked_again_it_says_the_same() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, in_time, late) = (guest.disk("data"), Token::new(), Token::new());
        guest.arm(&in_time, &[&data], LATER).await;
        let armed = guest.arm(&late, &[&data], LATER).await;
        call(watchdog(&armed));
        until("a thaw", || std::fs::metadata(armed.directory.join("armed/waits")).unwrap().len() == 0).await;
        for _ in 0..2 {
            assert_eq!(guest.disarm(&in_time).await, Disarmed::InTime, "{shell}");
            assert_eq!(guest.disarm(&late).await, Disarmed::HasThawed, "{shell}");
        }
    }
}

#[tokio::test]
async fn it_is_armed_once() {
    for shell in SHELLS {
        let mut guest = Guest::new(shell);
        let (data, token) = (guest.disk("data"), Token::new());
        let armed = guest.arm(&token, &[&data], LATER).await;
        let again = guest.try_arm(&token, &[&data], LATER).await;
        assert!(matches!(again, Err(WatchdogError::UsedUp)), "{shell}: {again:?}");
        assert!(processes(token.as_str()).contains(&watchdog(&armed)), "{shell}: the first still waits");
        assert_eq!(guest.disarm(&token).await, Disarmed::InTime, "{shell}");
    }
}
