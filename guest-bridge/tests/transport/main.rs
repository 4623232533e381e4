//! The agent transport against a peer that misbehaves as told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;
mod reply_limits;

use std::time::Duration;

use guest_bridge::agent::{Agent, AgentError, Endpoint, QgaTransport, SharedAgent};
use tokio::net::TcpListener;

use peer::{
    Expect, ONE, PLENTY, Pause, Peer, SHORT, Send, SendEndlessly, Sync, SyncAfter, TWO, UntilHangup, play, request,
};

#[tokio::test]
async fn a_connection_is_synchronised_once_and_kept() {
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(ONE), Expect("b"), Send(TWO)]]);
    assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
    assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn what_an_earlier_client_left_behind_is_discarded() {
    for noise in [
        &b"{\"return\": 99}\n"[..],
        b"\xFF{\"return\": 1234}\n",
        b"{\"return\": \"half a li",
        b"\xFF{\"retu",
        b"{\"error\": {\"class\": \"GenericError\", \"desc\": \"Invalid JSON syntax\"}}\n",
        &[0xFF; 5000],
        b"\n\n\0\n",
    ] {
        let mut peer = Peer::that_does(vec![vec![SyncAfter(noise), Expect("a"), Send(ONE)]]);
        assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
        peer.ended().await;
    }
}

#[tokio::test]
async fn a_reply_may_come_in_pieces() {
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(b"{\"ret"), Send(b"urn\": 1}"), Send(b"\r\n")]]);
    assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
    peer.ended().await;
}

#[tokio::test]
async fn a_late_reply_is_never_taken_for_the_answer_to_the_next_command() {
    let mut peer =
        Peer::that_does(vec![vec![Sync, Expect("slow"), UntilHangup], vec![SyncAfter(ONE), Expect("next"), Send(TWO)]]);
    let error = peer.call("slow", SHORT).await.unwrap_err();
    assert!(matches!(&error, AgentError::Timeout { command, .. } if command == "slow"), "{error}");
    assert!(error.may_have_executed());
    assert_eq!(peer.call("next", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn a_call_that_is_dropped_does_not_disturb_the_next() {
    let mut peer = Peer::that_does(vec![
        vec![Sync, Expect("dropped"), UntilHangup],
        vec![SyncAfter(ONE), Expect("next"), Send(TWO)],
    ]);
    assert!(tokio::time::timeout(SHORT, peer.call("dropped", PLENTY)).await.is_err());
    assert_eq!(peer.call("next", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn two_replies_to_one_command_do_not_shift_the_ones_that_follow() {
    let mut peer = Peer::that_does(vec![
        vec![Sync, Expect("a"), Send(b"{\"return\": 1}\n{\"return\": 99}\n"), UntilHangup],
        vec![Sync, Expect("b"), Send(TWO)],
    ]);
    assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
    assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn a_connection_that_ended_between_two_calls_is_opened_again() {
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(ONE)], vec![Sync, Expect("b"), Send(TWO)]]);
    assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
    // Lets the peer hang up first.
    tokio::time::sleep(SHORT).await;
    assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn a_released_channel_is_another_clients_until_the_next_call_opens_it_again() {
    let mut peer = Peer::that_does(vec![
        vec![Sync, Expect("a"), Send(ONE), UntilHangup],
        vec![Sync, Expect("of another client"), Send(ONE), UntilHangup],
        vec![SyncAfter(ONE), Expect("b"), Send(TWO)],
    ]);
    let mut other = QgaTransport::new(peer.agent.endpoint().clone());
    assert_eq!(peer.call("a", PLENTY).await.unwrap(), 1);
    peer.agent.release().await;
    assert_eq!(other.call(request("of another client"), PLENTY).await.unwrap(), 1);
    drop(other);
    assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn an_agent_that_several_hold_is_released_after_the_call_that_is_under_way() {
    let mut peer = Peer::that_does(vec![
        vec![Sync, Expect("slow"), Pause, Send(ONE), UntilHangup],
        vec![Sync, Expect("b"), Send(TWO)],
    ]);
    let endpoint = peer.agent.endpoint().clone();
    let shared = SharedAgent::new(std::mem::replace(&mut peer.agent, QgaTransport::new(endpoint)));
    let (mut asking, mut releasing) = (shared.clone(), shared);
    let asked = asking.call(request("slow"), PLENTY);
    let (answer, ()) = tokio::join!(asked, releasing.release());
    assert_eq!(answer.unwrap(), 1);
    assert_eq!(releasing.call(request("b"), PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn an_error_of_the_agents_keeps_the_connection() {
    let refusal = b"{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command a has not been found\"}}\n";
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(refusal), Expect("b"), Send(TWO)]]);
    assert!(matches!(peer.call("a", PLENTY).await, Err(AgentError::Unavailable { .. })));
    assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
    peer.ended().await;
}

#[tokio::test]
async fn garbage_is_an_error_and_ends_the_connection() {
    for garbage in [&b"hello\n"[..], b"{\"return\": 1\n", b"\xC3\x28\n", b"\n", b"{}\n"] {
        let mut peer = Peer::that_does(vec![
            vec![Sync, Expect("a"), Send(garbage), UntilHangup],
            vec![Sync, Expect("b"), Send(TWO)],
        ]);
        let error = peer.call("a", PLENTY).await.unwrap_err();
        assert!(matches!(error, AgentError::Protocol { .. }), "{error}");
        assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
        peer.ended().await;
    }
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_an_error() {
    for half in [&b""[..], b"{\"return\": 1"] {
        let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(half)], vec![Sync, Expect("b"), Send(TWO)]]);
        let error = peer.call("a", PLENTY).await.unwrap_err();
        assert!(matches!(error, AgentError::Lost { .. }) && error.may_have_executed(), "{error}");
        assert_eq!(peer.call("b", PLENTY).await.unwrap(), 2);
        peer.ended().await;
    }
}

#[tokio::test]
async fn a_flood_in_place_of_the_synchronisation_ends_at_the_deadline() {
    let mut peer = Peer::that_does(vec![vec![SendEndlessly]]);
    let error = peer.call("a", SHORT).await.unwrap_err();
    assert!(matches!(error, AgentError::NoSync { .. }), "{error}");
    peer.ended().await;
}

#[tokio::test]
async fn a_channel_that_another_client_holds_is_named_as_such() {
    let mut peer = Peer::that_does(vec![vec![UntilHangup]]);
    let error = peer.call("a", SHORT).await.unwrap_err();
    assert!(matches!(error, AgentError::NoSync { .. }) && !error.may_have_executed(), "{error}");
    assert!(error.hint().unwrap().contains("another client may be holding the agent's channel (libvirt, Proxmox"));
    peer.ended().await;
}

#[tokio::test]
async fn a_connection_that_ends_during_synchronisation_did_not_send_the_command() {
    let mut peer = Peer::that_does(vec![vec![]]);
    let error = peer.call("a", PLENTY).await.unwrap_err();
    assert!(matches!(error, AgentError::SyncLost { .. }) && !error.may_have_executed(), "{error}");
    peer.ended().await;
}

#[tokio::test]
async fn a_qmp_socket_is_recognised() {
    let greeting = b"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}}}}\r\n";
    let mut peer = Peer::that_does(vec![vec![Send(greeting), UntilHangup]]);
    let error = peer.call("a", PLENTY).await.unwrap_err();
    assert!(matches!(error, AgentError::QmpSocket { .. }) && !error.may_have_executed(), "{error}");
    peer.ended().await;
}

#[tokio::test]
async fn a_socket_that_is_not_there_or_not_served_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("qga.sock");
    let mut agent = QgaTransport::new(Endpoint::Unix(path.clone()));
    let error = agent.call(request("a"), PLENTY).await.unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(error.hint().unwrap().contains("no such socket"));

    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let error = agent.call(request("a"), PLENTY).await.unwrap_err();
    assert!(error.hint().unwrap().contains("nobody listens there"), "{error}");
}

#[tokio::test]
async fn tcp_carries_the_same_protocol() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = format!("tcp:{}", listener.local_addr().unwrap()).parse().unwrap();
    let script = tokio::spawn(async move {
        play(listener.accept().await.unwrap().0, vec![SyncAfter(ONE), Expect("a"), Send(TWO)]).await;
    });
    assert_eq!(QgaTransport::new(endpoint).call(request("a"), PLENTY).await.unwrap(), 2);
    script.await.unwrap();
}

#[tokio::test]
async fn the_longest_deadline_is_one_that_a_clock_can_hold() {
    let mut peer = Peer::that_does(vec![vec![Sync, Expect("a"), Send(ONE)]]);
    assert_eq!(peer.call("a", Duration::MAX).await.unwrap(), 1);
    peer.ended().await;
}
